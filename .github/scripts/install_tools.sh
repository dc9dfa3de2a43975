#!/usr/bin/env bash
# Install the Pulumi CLI that matches the SDK, and kubelogin, and check what was downloaded:
#   install_tools.sh FOLDER [pulumi] [kubelogin]
# Without names it installs both. In a workflow the folder joins the PATH of the steps that follow.
set -euo pipefail

# Raise the version together with its hash, which the release publishes as kubelogin-….zip.sha256.
kubelogin_version=0.2.19
kubelogin_sha256=ebaeff02aa899c5cae6a2b954b64fc02738185319df2570f7dc053451efa4b2f

if [[ $# -eq 0 || $1 == -* ]]; then
  echo "usage: install_tools.sh FOLDER [pulumi] [kubelogin]" >&2
  exit 2
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
target=$(cd "$1" && pwd)
shift
if [[ $# -eq 0 ]]; then
  set -- pulumi kubelogin
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

download() {
  curl --silent --show-error --fail --location --proto '=https' --retry 3 --max-time 300 \
    --output "$work/$2" "$1/$2"
}

install_pulumi() {
  local version releases archive
  version=$(sed -n 's/^pulumi==\([0-9.]*\).*/\1/p' "$root/requirements.txt")
  releases="https://github.com/pulumi/pulumi/releases/download/v$version"
  archive="pulumi-v$version-linux-x64.tar.gz"
  download "$releases" "$archive"
  download "$releases" "pulumi-$version-checksums.txt"
  # Of the archives that it lists, the one that is there; one that is not listed is an error.
  grep " $archive\$" "$work/pulumi-$version-checksums.txt" >"$work/checksum"
  (cd "$work" && sha256sum --check --strict --quiet checksum)
  tar --extract --gzip --file "$work/$archive" --directory "$target" --strip-components 1
}

install_kubelogin() {
  download "https://github.com/Azure/kubelogin/releases/download/v$kubelogin_version" \
    kubelogin-linux-amd64.zip
  echo "$kubelogin_sha256  kubelogin-linux-amd64.zip" >"$work/checksum"
  (cd "$work" && sha256sum --check --strict --quiet checksum)
  unzip -q -o -j "$work/kubelogin-linux-amd64.zip" bin/linux_amd64/kubelogin -d "$target"
}

for tool in "$@"; do
  case $tool in
    pulumi) install_pulumi ;;
    kubelogin) install_kubelogin ;;
    *)
      echo "error: there is no tool $tool: use pulumi, kubelogin" >&2
      exit 2
      ;;
  esac
done
if [[ -n ${GITHUB_PATH:-} ]]; then
  echo "$target" >>"$GITHUB_PATH"
fi
