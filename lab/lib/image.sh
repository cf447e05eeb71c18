# shellcheck shell=bash
# Building images. No registry is asked for a base image: everything is FROM scratch.

# image_archive NAME:TAG CONTAINERFILE TAR FILE...: builds from exactly these files.
image_archive() (
  name=$1 containerfile=$2 tar=$3
  shift 3
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/context"
  cp -- "$@" "$work/context/"
  chmod 0755 "$work"/context/*
  # A store of its own: nothing is left in the user's. No container runs, so neither a runtime nor overlay is needed.
  store=(--root "$work/store" --runroot "$work/run" --storage-driver vfs)
  buildah "${store[@]}" build --isolation chroot --quiet --tag "$name" --file "$containerfile" "$work/context" >/dev/null
  mkdir -p "$(dirname "$tar")"
  buildah "${store[@]}" push --quiet "$name" "docker-archive:$work/image.tar:$name"
  mv "$work/image.tar" "$tar"
)

lab_ctr() { ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }
