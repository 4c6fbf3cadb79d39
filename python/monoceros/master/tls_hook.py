"""The ssl_context hook: gunicorn's way to say how TLS is served, in the words of Python's ssl.

The default factory gives a real ssl.SSLContext that notes what it is told; what the hook made of
it becomes our rules, and OpenSSL runs in the core as without a hook. Python's ssl is imported only
where there is a hook. Called once a configuration, in the master.
"""

from __future__ import annotations

from monoceros.errors import ConfigError
from monoceros.master.tls_rules import Source, TlsRules

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
# What only Python's own TLS could do.
UNTOLD = ("load_dh_params", "set_ecdh_curve", "set_npn_protocols", "set_psk_server_callback")


def rules_of(cfg: Any, log: Any) -> TlsRules:
    """What the settings say, or the hook. ConfigError: the core cannot serve it."""
    rules = TlsRules(cfg)
    if cfg.is_default("ssl_context"):
        return rules
    made: list[Any] = []

    def factory() -> ssl.SSLContext:
        made.append(default_context(rules))
        return made[-1]  # type: ignore[no-any-return]

    try:
        context = cfg.ssl_context(cfg, factory)
    except (OSError, ValueError) as error:  # ssl.SSLError among them
        raise ConfigError(f"TLS cannot be served: the ssl_context hook: {error}") from error
    if not any(context is each for each in made):
        raise ConfigError(
            "The ssl_context hook returned an object of its own. The core serves what the "
            "hook's second argument makes: call it, change that object, and return it."
        )
    _refuse_what_is_pythons(context)
    _translate(context, rules, log)
    return rules


def default_context(rules: TlsRules) -> Any:
    """What the settings say, as an object of Python's."""
    import ssl

    context = _recorder()
    plain = ssl.SSLContext  # its own methods note nothing
    for source in rules.sources:
        names = (source.certificate, source.key or None)
        plain.load_cert_chain(context, *names, _password(rules))
    for name in rules.ca_files:
        plain.load_verify_locations(context, name)
    context.verify_mode = ssl.VerifyMode(rules.more["cert_reqs"])
    if rules.more["ciphers"]:
        plain.set_ciphers(context, rules.more["ciphers"])
    plain.set_alpn_protocols(context, rules.protocols)
    return context


def _password(rules: TlsRules) -> Any:
    """As load_cert_chain asks for one, instead of asking at the terminal."""

    def ask() -> bytes:
        if not rules.password_file:
            raise ConfigError(
                "TLS cannot be served: the key is encrypted, and there is no password"
            )
        return bytes(rules.password())

    return ask


def _recorder() -> Any:
    import ssl

    class Context(ssl.SSLContext):
        """`told`: the last arguments by method. `chains`: what the hook has loaded besides."""

        told: dict[str, Any]
        chains: list[Source]

        def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
            super().load_cert_chain(certfile, keyfile, password)
            secret = password() if callable(password) else password or b""
            secret = secret.encode() if isinstance(secret, str) else bytes(secret)
            self.chains.append(Source(str(certfile), str(keyfile or ""), "", secret))

        def load_verify_locations(
            self, cafile: Any = None, capath: Any = None, cadata: Any = None
        ) -> None:
            super().load_verify_locations(cafile, capath, cadata)
            if capath is not None:
                raise ConfigError("ssl_context: capath cannot be served; name the file as cafile.")
            if cafile is not None:
                self.told.setdefault("ca_files", []).append(str(cafile))
            if cadata is not None:
                self.told["ca_data"] = self.told.get("ca_data", b"") + _pem(cadata)

        def set_ciphers(self, ciphers: str, /) -> None:
            super().set_ciphers(ciphers)
            self.told["ciphers"] = ciphers

        def set_alpn_protocols(self, alpn_protocols: Any) -> None:
            super().set_alpn_protocols(alpn_protocols)
            self.told["alpn"] = list(alpn_protocols)

        def __getattribute__(self, name: str) -> Any:
            if name in UNTOLD:
                object.__getattribute__(self, "told")[name] = True
            return super().__getattribute__(name)

    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.told = {}
    context.chains = []
    context.verify_mode = ssl.CERT_NONE
    return context


def _pem(data: Any) -> bytes:
    if isinstance(data, str):
        return data.encode() + b"\n"
    import ssl

    return ssl.DER_cert_to_PEM_cert(bytes(data)).encode()


def _refuse_what_is_pythons(context: Any) -> None:
    untold = [name for name in UNTOLD if name in context.told]
    if context.sni_callback is not None:
        untold.append("sni_callback (tls_certificates serves each name its certificate)")
    if getattr(context, "post_handshake_auth", False):
        untold.append("post_handshake_auth")
    if untold:
        raise ConfigError(f"The ssl_context hook uses what the core cannot serve: {untold[0]}.")


def _translate(context: Any, rules: TlsRules, log: Any) -> None:
    import ssl

    told, more, options = context.told, rules.more, context.options
    if context.chains:
        rules.sources = [*context.chains, *rules.sources[1:]]
    rules.ca_files += told.get("ca_files", [])
    rules.ca_data += told.get("ca_data", b"")
    if context.verify_flags & (ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_CRL_CHECK_CHAIN):
        rules.crl_file = rules.crl_file or (rules.ca_files or [""])[-1]
    more["cert_reqs"] = int(context.verify_mode)
    more["ciphers"] = told.get("ciphers", more["ciphers"])
    rules.protocols = told.get("alpn", rules.protocols)
    if options & ssl.OP_NO_TICKET or getattr(context, "num_tickets", 2) == 0:
        more["ticket_lifetime_s"] = 0
    rules.key_log_file = context.keylog_filename or rules.key_log_file
    oldest, newest = int(context.minimum_version), int(context.maximum_version)
    if 0 < oldest < TLS_1_2:
        log.warning("ssl_context: TLS older than 1.2 is not served, whatever minimum_version says")
    if 0 < newest < TLS_1_2:
        raise ConfigError("ssl_context: maximum_version is older than TLS 1.2, the oldest served.")
    no_2, no_3 = options & ssl.OP_NO_TLSv1_2, options & ssl.OP_NO_TLSv1_3
    more["version_min"] = TLS_1_3 if oldest == TLS_1_3 or no_2 else TLS_1_2
    more["version_max"] = TLS_1_2 if newest == TLS_1_2 or no_3 else TLS_1_3
    if more["version_min"] > more["version_max"]:
        raise ConfigError("ssl_context: no version of TLS is left between minimum and maximum.")
