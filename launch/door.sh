# shellcheck shell=sh
# nginx has its settings, certificate and key in a folder that is mounted and read again at a reload: only another image,
# port or address starts it anew, and that costs connections.

door=.platform/secrets/door

write_door() {
  mkdir -p "$door"
  chmod 700 .platform/secrets # keeps others out; in the container another user reads
  chmod 755 "$door"
  listen='listen 80;'
  if [ "$(door_scheme)" = https ]; then
    certificate=$(copy_to_door certificate "$(setting NGINX_CERTIFICATE)")
    key=$(copy_to_door key "$(setting NGINX_KEY)")
    listen="listen 80 ssl; ssl_certificate /door/$certificate; ssl_certificate_key /door/$key; ssl_session_cache shared:tls:1m;"
  fi
  {
    printf 'NGINX_LISTEN=%s listen 127.0.0.1:8081;\n' "$listen" # the second for the health check, with or without TLS
    grep -v '^#' nginx/settings | fill_settings
  } >"$door/settings.new"
  chmod 444 "$door/settings.new"
  mv -f "$door/settings.new" "$door/settings"
}

# copy_to_door NAME FILE: what the copy is called; named by what it holds, so that a renewed one is another one
copy_to_door() {
  copy=$1-$(cksum <"$2" | cut -d ' ' -f 1).pem
  cp "$2" "$door/$copy.new"
  chmod 444 "$door/$copy.new"
  mv -f "$door/$copy.new" "$door/$copy"
  printf '%s' "$copy"
}

# shellcheck disable=SC2016 # the dollars are those of the text
# fill_settings: standard input with each ${NAME} replaced by that setting
fill_settings() {
  while IFS= read -r line; do
    filled=''
    while name=${line#*'${'} && [ "$name" != "$line" ]; do
      filled=$filled${line%%'${'*}$(setting "${name%%\}*}" | tr '\n' ' ')
      line=${name#*\}}
    done
    printf '%s\n' "$filled$line"
  done
}

# What has changed is taken over by the nginx that runs; requests go on.
# shellcheck disable=SC2016 # the shell in the container expands it
reload_nginx() {
  compose nginx exec -T nginx sh -ec '
    before=$(cat /etc/nginx/conf.d/default.conf)
    sh /entrypoint.sh nginx -t -q # writes it
    [ "$before" = "$(cat /etc/nginx/conf.d/default.conf)" ] || nginx -s reload'
  for file in "$door"/*.pem; do # of a certificate before
    [ ! -f "$file" ] || grep -qF "${file##*/}" "$door/settings" || rm -f "$file"
  done
}
