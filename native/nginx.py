"""nginx's configuration: the template that the container reads too, in a frame that needs no root."""

import re

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
    """nginx.conf as a whole; raises LookupError when the template wants a variable that compose does not give."""
    project = ROOT / "nginx"
    variables = compose.environment(project / "compose.yaml", "nginx", layout.settings)
    listen = variables["NGINX_LISTEN"]
    if layout.certificate:
        certificate, key = layout.certificate
        listen = compose.environment(project / "compose.tls.yaml", "nginx", layout.settings)["NGINX_LISTEN"]
        listen = listen.replace("/tls/certificate.pem", f'"{certificate}"').replace("/tls/key.pem", f'"{key}"')
    variables |= {
        "NGINX_LISTEN": listen.replace("listen 80", f"listen {layout.bind()}:{layout.port('NGINX_PORT')}"),
        "NGINX_RESOLVER": "",
    }
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
