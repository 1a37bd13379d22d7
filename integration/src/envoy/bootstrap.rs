//! The static bootstrap, as JSON that all the pinned versions take.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::builder::{Builder, CheckAddress, CheckTls, HostRoute};
use crate::pki::Identity;

const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";
const CHECK: &str = "portcullis";
const HTTP1: &str = "upstream-http1";
const HTTP2: &str = "upstream-http2";

pub(super) fn render(envoy: &Builder) -> Value {
    let ports = &envoy.ports;
    let mut listeners = Vec::new();
    let mut clusters = vec![check_cluster(envoy)];
    if let Some(address) = envoy.http1 {
        clusters.push(cluster(HTTP1, &[socket(address)], false));
        listeners.push(listener(envoy, "http1", ports.http1.address(), HTTP1, None));
        if let Some(identity) = &envoy.tls {
            let tls = Some(downstream_tls(identity));
            listeners.push(listener(envoy, "tls", ports.tls.address(), HTTP1, tls));
        }
    }
    if let Some(address) = envoy.http2 {
        clusters.push(cluster(HTTP2, &[socket(address)], true));
        listeners.push(listener(envoy, "http2", ports.http2.address(), HTTP2, None));
    }
    for route in &envoy.host_routes {
        clusters.push(cluster(&route.host, &[socket(route.address)], false));
    }
    for route in &envoy.path_routes {
        clusters.push(cluster(&route.prefix, &[socket(route.address)], false));
    }
    json!({
        "admin": { "address": socket(ports.admin.address()) },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

fn listener(envoy: &Builder, name: &str, address: SocketAddr, cluster: &str, tls: Option<Value>) -> Value {
    let mut chain = json!({ "filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": connection_manager(envoy, name, cluster),
    }] });
    if let Some(tls) = tls {
        chain["transport_socket"] = tls;
    }
    json!({ "name": name, "address": socket(address), "filter_chains": [chain] })
}

fn connection_manager(envoy: &Builder, name: &str, cluster: &str) -> Value {
    let mut virtual_hosts: Vec<Value> = envoy.host_routes.iter().map(virtual_host).collect();
    let path_routes = envoy.path_routes.iter().map(|route| (route.prefix.as_str(), route.prefix.as_str()));
    let routes: Vec<Value> = path_routes
        .chain([("/", cluster)])
        .map(|(prefix, cluster)| json!({ "match": { "prefix": prefix }, "route": { "cluster": cluster } }))
        .collect();
    virtual_hosts.push(json!({ "name": "all", "domains": ["*"], "routes": routes }));
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                  .http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO",
        "http2_protocol_options": { "allow_connect": true },
        "upgrade_configs": [{ "upgrade_type": "websocket" }],
        "route_config": { "name": name, "virtual_hosts": virtual_hosts },
        "http_filters": [
            { "name": EXT_AUTHZ, "typed_config": ext_authz(envoy) },
            { "name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            } },
        ],
    });
    if envoy.variant.is_hardened() {
        manager["normalize_path"] = true.into();
        manager["merge_slashes"] = true.into();
        manager["path_with_escaped_slashes_action"] = "REJECT_REQUEST".into();
        manager["common_http_protocol_options"] = json!({ "headers_with_underscores_action": "REJECT_REQUEST" });
    }
    manager
}

fn virtual_host(route: &HostRoute) -> Value {
    let mut host = json!({
        "name": route.host,
        "domains": [route.host, format!("{}:*", route.host)],
        "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": route.host } }],
    });
    if !route.checked {
        host["typed_per_filter_config"] = json!({ EXT_AUTHZ: {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3\
                      .ExtAuthzPerRoute",
            "disabled": true,
        } });
    }
    host
}

fn ext_authz(envoy: &Builder) -> Value {
    let mut filter = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {
            "envoy_grpc": { "cluster_name": CHECK },
            "timeout": format!("{}s", envoy.check_timeout.as_secs_f64()),
        },
        "encode_raw_headers": envoy.raw_headers,
        "failure_mode_allow": false,
        "status_on_error": { "code": "ServiceUnavailable" },
    });
    if envoy.variant.is_hardened() {
        filter["validate_mutations"] = true.into();
    }
    filter
}

fn check_cluster(envoy: &Builder) -> Value {
    let addresses: Vec<Value> = envoy.checks.iter().map(check_address).collect();
    let mut check = cluster(CHECK, &addresses, true);
    if let Some(tls) = &envoy.check_tls {
        check["transport_socket"] = upstream_tls(tls);
    }
    if envoy.health_checked {
        check["health_checks"] = json!([{
            "timeout": "1s",
            "interval": "0.5s",
            "no_traffic_interval": "0.5s",
            "unhealthy_threshold": 1,
            "healthy_threshold": 1,
            "grpc_health_check": {},
        }]);
    }
    check
}

fn cluster(name: &str, addresses: &[Value], http2: bool) -> Value {
    let endpoints: Vec<Value> = addresses.iter().map(|address| json!({ "endpoint": { "address": address } })).collect();
    let protocol = if http2 { json!({ "http2_protocol_options": {} }) } else { json!({ "http_protocol_options": {} }) };
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": endpoints }],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3\
                          .HttpProtocolOptions",
                "explicit_http_config": protocol,
            },
        },
    })
}

fn check_address(address: &CheckAddress) -> Value {
    match address {
        CheckAddress::Tcp(address) => socket(*address),
        CheckAddress::Unix(path) => json!({ "pipe": { "path": path } }),
    }
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(),
        "port_value": address.port(),
    } })
}

fn downstream_tls(identity: &Identity) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3\
                      .DownstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [certificate(identity)],
                "alpn_protocols": ["h2", "http/1.1"],
            },
        },
    })
}

fn upstream_tls(tls: &CheckTls) -> Value {
    let certificates: Vec<Value> = tls.identity.iter().map(certificate).collect();
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3\
                      .UpstreamTlsContext",
            "sni": tls.server_name,
            "common_tls_context": {
                "tls_certificates": certificates,
                "validation_context": {
                    "trusted_ca": { "inline_string": tls.authority },
                    "match_typed_subject_alt_names": [{
                        "san_type": "DNS",
                        "matcher": { "exact": tls.server_name },
                    }],
                },
            },
        },
    })
}

fn certificate(identity: &Identity) -> Value {
    json!({
        "certificate_chain": { "inline_string": identity.certificate },
        "private_key": { "inline_string": identity.key },
    })
}
