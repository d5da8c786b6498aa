"""Who may call, as the settings say: the one place where they become an `Admission`."""

from hotline.settings import Settings
from hotline.settings_sections import as_networks
from hotline.wiring.trunks import carrier_accesses, numbering
from ivr.access.dialplan import DialPlan
from ivr.access.digest import Algorithm
from ivr.access.extensions import ExtensionFile
from ivr.access.limits import PeerLimits
from ivr.access.registrar import BindingStore, Registrar
from ivr.sip.admission import Admission


def open_extensions(settings: Settings) -> ExtensionFile:
    """The site's extensions; raises `ConfigurationError`."""
    return ExtensionFile(settings.extensions_path, realm=settings.extensions.realm)


def build_plan(settings: Settings, extensions: ExtensionFile) -> DialPlan:
    """Who may call what; raises `ConfigurationError` for a pattern that cannot be read."""
    plan = settings.dial_plan
    return DialPlan(
        from_trunk=plan.from_trunk,
        from_extension=plan.from_extension,
        outgoing=plan.outgoing,
        between_extensions=plan.between_extensions,
        is_extension=lambda name: extensions.get(name) is not None,
        canonical=numbering(settings).canonical,
    )


def build_admission(
    settings: Settings, extensions: ExtensionFile, plan: DialPlan, *, bindings: BindingStore | None = None
) -> Admission:
    """Who comes in. `bindings`: where registered phones are kept, if not in memory."""
    own, limits = settings.extensions, settings.limits
    return Admission(
        trunks=settings.sip.peer_networks(),
        phones=as_networks(own.networks),
        ban_exempt=as_networks(limits.ban_exempt),
        extensions=extensions,
        realm=own.realm,
        algorithms=tuple(map(Algorithm, own.algorithms)),
        registrar=Registrar(
            store=bindings, min_s=own.min_expires_s, max_s=own.max_expires_s, max_contacts=own.max_contacts
        ),
        plan=plan,
        carriers=carrier_accesses(settings),
        numbering=numbering(settings),
        limits=PeerLimits(calls_per_s=limits.calls_per_s, calls=limits.calls_per_peer),
        offences=limits.offences,
        offence_window_s=limits.offence_window_s,
        ban_s=limits.ban_s,
    )
