"""nginx's configuration: the template that the container reads too, in a frame that needs no root."""

import re
import zlib

from native import compose
from native.layout import ROOT, Layout

_FRAME = """
daemon off;
pid nginx.pid;
error_log stderr;
worker_processes auto;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    {temporary}
{server}
}}
"""


def configuration(layout: Layout) -> str:
    """nginx.conf as a whole; raises LookupError for a variable of the template that nginx/settings does not give."""
    project = ROOT / "nginx"
    variables = {
        name: compose.interpolate(value, layout.settings)
        for line in (project / "settings").read_text().splitlines()
        for name, equals, value in [line.partition("=")]
        if equals and not name.startswith("#")
    }
    where, tls = f"{layout.bind()}:{layout.port('NGINX_PORT')}", ""
    if layout.certificate:
        certificate, key = layout.certificate
        renewed = zlib.crc32(certificate.read_bytes())  # another configuration is read again, another file is not
        tls = f'ssl; # {renewed}\n    ssl_certificate "{certificate}"; ssl_certificate_key "{key}";'
        tls += " ssl_session_cache shared:tls:1m"
    variables |= {"NGINX_LISTEN": f"listen {where} {tls};", "NGINX_RESOLVER": ""}
    variables["NGINX_CONSOLE"] = f"{layout.host('TRAINING')}:{layout.port('TRAINING_PORT')}"
    for name in ("NGINX_UPSTREAM_SERVERS", "NGINX_ALL_SERVERS"):
        server = variables[name]
        variables[name] = "\n    ".join(
            server.replace("model-endpoint:9998 resolve", f"127.0.0.1:{port}")
            for port in layout.model_endpoints.values()
        )
    template = (project / "templates/default.conf.template").read_text()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n    ".join(f"{kind}_temp_path {kind};" for kind in kinds)
    return _FRAME.format(
        temporary=temporary, server=re.sub(r"\$\{(NGINX_\w+)\}", lambda match: variables[match[1]], template)
    )
