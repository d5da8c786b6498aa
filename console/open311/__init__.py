"""Open311 GeoReport v2: what is reported of public things and how it stands, for everybody; new reports with a key."""
