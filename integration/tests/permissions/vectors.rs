//! Requests of somebody who may everything in the namespace team-a, for what is another's.

/// A request, and the reason for which it is refused.
#[derive(Debug)]
pub(crate) struct Vector {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) lines: &'static [(&'static str, &'static str)],
    pub(crate) reason: &'static str,
}

const fn get(target: &'static str, reason: &'static str) -> Vector {
    Vector { method: "GET", target, lines: &[], reason }
}

const DENIED: &str = "access_review_denied";
const MISSING: &str = "resource_missing";
const AMBIGUOUS: &str = "resource_ambiguous";
const PATH: &str = "ambiguous_path";

/// `kubeflow.md`'s properties to test, and their neighbours.
pub(crate) const VECTORS: &[Vector] = &[
    // Another's namespace, and those that are no profile's.
    get("/notebook/team-b/nb/lab", DENIED),
    get("/notebook/kube-system/nb/lab", DENIED),
    get("/notebook/team-b/nb/api/kernels/1/channels", DENIED),
    Vector {
        method: "GET",
        target: "/notebook/team-b/nb/terminals/websocket/1",
        lines: &[("connection", "Upgrade"), ("upgrade", "websocket")],
        reason: DENIED,
    },
    Vector { method: "HEAD", target: "/notebook/team-b/nb/lab", lines: &[], reason: DENIED },
    // No namespace, or no name.
    get("/notebook", MISSING),
    get("/notebook/", MISSING),
    get("/notebook/team-a", MISSING),
    get("/notebook/team-a/", MISSING),
    get("/pvcviewers/team-a", MISSING),
    // Two readings.
    get("/notebook//team-b/nb/lab", PATH),
    get("/notebook/team-a/nb/../../team-b/nb/lab", PATH),
    get("/notebook/team-a/nb/%2e%2e/%2e%2e/team-b/nb/lab", PATH),
    get("/notebook/team-a/nb/..%2f..%2fteam-b/nb/lab", PATH),
    get("/notebook/team-a%2f..%2fteam-b/nb/lab", PATH),
    get("/notebook/team-a\\..\\team-b/nb/lab", PATH),
    get("/notebook/team-a;/nb/lab", PATH),
    get("/notebook/%74eam-b/nb/lab", PATH),
    get("/notebook/team-a%252fnb/x/y", PATH),
    get("/notebook/./team-b/nb/lab", PATH),
    get("/notebook/team-b.;x/nb/lab", PATH),
    // Names that are none.
    get("/notebook/TEAM-B/nb/lab", AMBIGUOUS),
    get("/notebook/team-b./nb/lab", AMBIGUOUS),
    get("/notebook/team_b/nb/lab", AMBIGUOUS),
    get("/notebook/*/nb/lab", AMBIGUOUS),
    get("/notebook/-/nb/lab", AMBIGUOUS),
    // In another case, the strictest rule holds, and its template stands for nothing.
    get("/Notebook/team-b/nb/lab", MISSING),
    get("/NOTEBOOK/team-a/nb/lab", MISSING),
    // Parameters.
    get("/pipeline/artifacts/get?source=minio&key=private-artifacts/team-b/x&namespace=team-a", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&namespace=team-a&namespace=team-b", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&namespace=team-a&%6eamespace=team-b", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&namespace=team-a;namespace=team-b", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&Namespace=team-b", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&namespace[]=team-b", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&namespace=team-b", DENIED),
    get("/pipeline/artifacts/get?source=minio&key=private-artifacts/team-b/x", DENIED),
    get("/pipeline/artifacts/get?source=minio&key=private-artifacts%2Fteam-b%2Fx", DENIED),
    get("/pipeline/artifacts/get?source=minio&key=private-artifacts%252Fteam-b%252Fx", DENIED),
    get("/pipeline/artifacts/get?source=minio&key=private-artifacts/team-a/../team-b/x", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=private-artifacts/team-a/%252e%252e/team-b/x", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=private-artifacts//team-b/x", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=/private-artifacts/team-b/x", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=./private-artifacts/team-b/x", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=pipelines/team-b/x", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&key=private-artifacts/team-b/x", AMBIGUOUS),
    get("/pipeline/artifacts/get?source=http&key=shared/x", AMBIGUOUS),
    get("/pipeline/artifacts/minio/mlpipeline/private-artifacts/team-b/x", DENIED),
    get("/pipeline/artifacts/minio/mlpipeline/private-artifacts/team-b/x?namespace=team-a", AMBIGUOUS),
    get("/pipeline/artifacts/minio/mlpipeline/private-artifacts%2fteam-b/x", PATH),
    get("/pipeline/artifacts/minio/mlpipeline/artifacts/../private-artifacts/team-b/x", PATH),
    get("/pipeline/artifacts/http/mlpipeline/artifacts/x", MISSING),
    // Secrets by the provider's description.
    get("/pipeline/artifacts/get?source=minio&key=shared/x&providerInfo=%7B%7D", MISSING),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&providerInfo=%7B%7D&namespace=portcullis", DENIED),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&PROVIDERINFO=%7B%7D&namespace=portcullis", DENIED),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&provider%49nfo=%7B%7D&namespace=team-b", DENIED),
    get("/pipeline/artifacts/get?source=minio&key=shared/x&providerInfo[a]=b&namespace=team-b", DENIED),
    // The UI's proxy.
    get("/pipeline/apis/v1beta1/_proxy/http://metadata/", "denied_by_rule"),
    get("/pipeline/apis/v2beta1/_proxy/metadata/", "denied_by_rule"),
    get("/pipeline/apis/v2beta1/%5fproxy/metadata/", PATH),
    get("/Pipeline/apis/v2beta1/_Proxy/metadata/", "denied_by_rule"),
    Vector {
        method: "GET",
        target: "/pipeline/x",
        lines: &[("referer", "https://kubeflow.example.com/pipeline/apis/v1beta1/_proxy/metadata/")],
        reason: "denied_by_rule",
    },
    Vector {
        method: "GET",
        target: "/pipeline/x",
        lines: &[("referer", "https://kubeflow.example.com/pipeline/apis/v1beta1/%5Fproxy%2Fmetadata/")],
        reason: "denied_by_rule",
    },
    // Other methods in disguise.
    Vector {
        method: "POST",
        target: "/pipeline/apps/tensorboard?namespace=team-b",
        lines: &[("x-http-method-override", "GET")],
        reason: DENIED,
    },
    Vector { method: "POST", target: "/pipeline/apps/tensorboard", lines: &[], reason: MISSING },
    Vector { method: "DELETE", target: "/pipeline/apps/tensorboard/?namespace=team-b", lines: &[], reason: DENIED },
    // Visualizations of no namespace.
    Vector { method: "POST", target: "/pipeline/apis/v1beta1/visualizations", lines: &[], reason: MISSING },
    Vector { method: "POST", target: "/pipeline/apis/v1beta1/visualizations/", lines: &[], reason: MISSING },
    Vector { method: "POST", target: "/pipeline/apis/v1beta1/visualizations//", lines: &[], reason: MISSING },
    Vector {
        method: "POST",
        target: "/pipeline/apis/v1beta1/visualizations/team-a?namespace=team-b",
        lines: &[],
        reason: AMBIGUOUS,
    },
    // What writes lineage.
    Vector {
        method: "POST",
        target: "/ml_metadata.MetadataStoreService/PutContexts",
        lines: &[],
        reason: "denied_by_rule",
    },
    Vector {
        method: "GET",
        target: "/ml_metadata.MetadataStoreService/GetArtifacts",
        lines: &[],
        reason: "denied_by_rule",
    },
    Vector {
        method: "POST",
        target: "/ml_metadata.metadatastoreservice/getartifacts",
        lines: &[],
        reason: "denied_by_rule",
    },
    // The access manager.
    get("/kfam/v1/bindings", "denied_by_rule"),
    get("/KFAM/v1/bindings", "denied_by_rule"),
    get("/kfam", "denied_by_rule"),
    // Contributors of another team.
    Vector { method: "POST", target: "/api/workgroup/add-contributor/team-b", lines: &[], reason: DENIED },
    Vector { method: "POST", target: "/api/workgroup/add-contributor", lines: &[], reason: MISSING },
    Vector { method: "POST", target: "/api/workgroup/add-contributor/team-a/team-b", lines: &[], reason: MISSING },
    // What tells of everybody.
    get("/debug", DENIED),
    get("/prometheus/metrics", DENIED),
    get("/api/workgroup/get-all-namespaces", DENIED),
    get("/api/model_registry/v1alpha3/registered_models", DENIED),
];
