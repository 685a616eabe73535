#!/bin/sh
# Sees to an nginx: the machine's own, else Debian's package unpacked in .platform/nginx, without root.
# Where neither can be had it says so; a model endpoint then answers on NGINX_PORT itself.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
folder=$root/.platform/nginx
PATH=$PATH:/usr/sbin:/usr/local/sbin

give_up() {
    printf '  %-22s %s\n' nginx "none: $1. The model endpoint answers on its port directly."
    rm -rf "$folder.new"
    exit 0
}

command -v nginx >/dev/null 2>&1 && exit 0
[ -x "$folder/usr/sbin/nginx" ] && exit 0
for tool in apt-get dpkg; do
    command -v "$tool" >/dev/null 2>&1 || give_up "not installed, and without $tool there is no package to unpack"
done

rm -rf "$folder.new"
mkdir -p "$folder.new"
cd "$folder.new"
printf '  %-22s %s\n' nginx "not installed: unpacking Debian's package beside the project"
# The second attempt is for machines without package lists: it fetches them into this folder.
mkdir -p apt/lists/partial
apt() { apt-get -qq -o APT::Sandbox::User=root "$@" >/dev/null 2>&1; }
apt download nginx ||
    { apt -o "Dir::State::Lists=$PWD/apt/lists" -o "Dir::Cache=$PWD/apt" update &&
        apt -o "Dir::State::Lists=$PWD/apt/lists" -o "Dir::Cache=$PWD/apt" download nginx; } ||
    give_up 'apt-get cannot download it'
for package in ./*.deb; do dpkg -x "$package" . || give_up "$package cannot be unpacked"; done
./usr/sbin/nginx -v 2>/dev/null || give_up 'a library that it needs is missing'
rm -rf apt ./*.deb
rm -rf "$folder"
mv "$folder.new" "$folder"
