# A static binary, the CA certificates, and nothing else: no shell, no package manager, no user but a number.
# docker build -t portcullis:0.1.0 .

FROM rust:1.95.0-trixie AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    --mount=type=cache,target=/root/.cache/portcullis \
    integration/image/binary /

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Portcullis" \
      org.opencontainers.image.description="The authenticating gatekeeper beside an Envoy or Istio ingress gateway" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image /
# Where volumes for keys and sessions are mounted.
COPY --from=build --chown=65532:65532 /data /var/lib
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# nonroot, as a number: Kubernetes can tell that it is not 0.
USER 65532:65532
# Checks, public keys, health and metrics.
EXPOSE 9001 9002 9003
# For engines that ask the container itself; Kubernetes asks /readyz. OCI's own format has no place for it.
HEALTHCHECK --interval=10s --timeout=5s CMD ["/portcullis", "probe"]
ENTRYPOINT ["/portcullis"]
CMD ["serve", "--config", "/etc/portcullis/portcullis.yaml"]
