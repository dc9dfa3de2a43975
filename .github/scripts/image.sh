#!/usr/bin/env bash
# Train a release, build the API's image with it, and scan the image:
#   image.sh
# It fails on a vulnerability that is high or critical, and that an update would mend.
# It needs Docker with buildx; whatever stack `local` runs here is stopped by it.
set -euo pipefail

# Found by its digest in many public repositories; raise both together.
scanner=anchore/grype:v0.118.0@sha256:8a93fc48da96bd6ec5981279d099b69de11541dc68fdf222fb9161f8ff284af7
image=attrition-api:scanned

cd "$(dirname "$0")/../.."
trap 'make down' EXIT
make up
outputs=$(make --silent outputs)
release=$(dirname "$(jq --raw-output .exampleRequest <<<"$outputs")")
version=$(jq --raw-output .modelVersion <<<"$outputs")
sha256=$(sha256sum "$release/manifest.json" | cut -d ' ' -f 1)

docker buildx build --file app/Dockerfile --load --tag "$image" \
  --build-context "release=$release" \
  --build-arg "RELEASE_VERSION=$version" --build-arg "RELEASE_SHA256=$sha256" .
docker run --rm --volume /var/run/docker.sock:/var/run/docker.sock "$scanner" \
  "docker:$image" --fail-on high --only-fixed
