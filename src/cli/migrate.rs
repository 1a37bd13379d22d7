//! From another gatekeeper's configuration to ours.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use thiserror::Error;

use crate::{
    cluster_names::{self, ClusterName},
    gatekeepers::Input,
    kubernetes::ListError,
    migrate::{MigrateError, Migration, from_oauth2_proxy, from_oidc_authservice},
    secret::SecretString,
};

/// The largest file that is read, in bytes: what configures one process, and its objects, is smaller.
const MAX_BYTES: u64 = 16 << 20;

/// Where we come from.
#[derive(Debug, Subcommand)]
pub(super) enum MigrateCommand {
    /// From oauth2-proxy: its cfg file, its alpha configuration, a list of its flags, lines of its environment
    /// (`OAUTH2_PROXY_…`), or the Kubernetes objects that run it.
    #[command(name = "oauth2-proxy")]
    OAuth2Proxy(Migrate),
    /// From oidc-authservice: lines of its environment, or the Kubernetes objects that run it.
    #[command(name = "oidc-authservice")]
    OidcAuthservice(Migrate),
}

#[derive(Args, Debug)]
pub(super) struct Migrate {
    /// What configures it, in any order: files, or `-` for standard input. Objects may be of `kubectl get -o yaml`,
    /// of a folder of manifests, or of a kustomization with the files that it names.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The public address, `https://` and a host, where the files do not tell it.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// A kubeconfig file with which Kubeflow's profiles, role bindings and authorization policies may be listed: the report
    /// then names the people whose addresses have capitals there, or are spelled in two ways.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Where our configuration goes, instead of to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where the report goes, instead of to standard error.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub(super) enum MigrateCommandError {
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("{}: {problem}", path.display())]
    Input { path: PathBuf, problem: String },
    #[error(transparent)]
    Cluster(#[from] ListError),
    #[error("{}: it cannot be written: {source}", path.display())]
    Output { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Runtime(#[from] io::Error),
}

impl MigrateCommandError {
    pub(super) const fn is_usage(&self) -> bool {
        !matches!(self, Self::Output { .. } | Self::Runtime(_))
    }
}

/// What is to be printed, where it was not written into files.
#[derive(Debug)]
pub(super) struct Migrated {
    pub(super) configuration: Option<String>,
    pub(super) report: Option<String>,
}

impl MigrateCommand {
    pub(super) fn run(self) -> Result<Migrated, MigrateCommandError> {
        let (migrate, from): (_, FromProduct) = match self {
            Self::OAuth2Proxy(migrate) => (migrate, from_oauth2_proxy),
            Self::OidcAuthservice(migrate) => (migrate, from_oidc_authservice),
        };
        let inputs: Result<Vec<Input>, _> = migrate.files.iter().map(|path| read(path)).collect();
        let names = migrate.kubeconfig.map(names_of).transpose()?.unwrap_or_default();
        let Migration { configuration, report } = from(inputs?, migrate.origin.as_deref(), &names)?;
        Ok(Migrated {
            configuration: kept_or_written(configuration, migrate.output)?,
            report: kept_or_written(report.text(), migrate.report)?,
        })
    }
}

type FromProduct = fn(Vec<Input>, Option<&str>, &[ClusterName]) -> Result<Migration, MigrateError>;

fn names_of(kubeconfig: PathBuf) -> Result<Vec<ClusterName>, MigrateCommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(cluster_names::read(kubeconfig))?)
}

fn kept_or_written(text: String, path: Option<PathBuf>) -> Result<Option<String>, MigrateCommandError> {
    let Some(path) = path else { return Ok(Some(text)) };
    match fs::write(&path, text) {
        Ok(()) => Ok(None),
        Err(source) => Err(MigrateCommandError::Output { path, source }),
    }
}

fn read(path: &Path) -> Result<Input, MigrateCommandError> {
    let wrong = |problem: String| MigrateCommandError::Input { path: path.to_path_buf(), problem };
    let (name, text) = if path == Path::new("-") {
        ("standard input".to_owned(), read_all(io::stdin()))
    } else {
        (path.display().to_string(), File::open(path).and_then(read_all))
    };
    let text = text.map_err(|error| wrong(error.to_string()))?;
    if text.expose().len() as u64 > MAX_BYTES {
        return Err(wrong("it is larger than 16 MiB".to_owned()));
    }
    Ok(Input::new(name, text))
}

fn read_all(source: impl io::Read) -> io::Result<SecretString> {
    let mut text = String::new();
    source.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    Ok(SecretString::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        files: Vec<PathBuf>,
        output: Option<PathBuf>,
        report: Option<PathBuf>,
    ) -> Result<Migrated, MigrateCommandError> {
        MigrateCommand::OidcAuthservice(Migrate { files, origin: None, kubeconfig: None, output, report }).run()
    }

    #[test]
    fn what_comes_out_goes_where_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("params.env"), "OIDC_PROVIDER=https://dex.example.com/dex\n").unwrap();
        let printed = run(vec![at("params.env")], None, None).unwrap();
        let (configuration, report) = (printed.configuration.unwrap(), printed.report.unwrap());
        assert!(configuration.contains("issuer: https://dex.example.com/dex\n") && report.starts_with("Settings: "));
        let written = run(vec![at("params.env")], Some(at("portcullis.yaml")), Some(at("report.txt"))).unwrap();
        assert!(written.configuration.is_none() && written.report.is_none());
        assert_eq!(fs::read_to_string(at("portcullis.yaml")).unwrap(), configuration);
        assert_eq!(fs::read_to_string(at("report.txt")).unwrap(), report);
    }

    #[test]
    fn what_cannot_be_read_is_the_command_line_s_fault_and_what_cannot_be_written_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let missing = run(vec![folder.path().join("missing")], None, None).unwrap_err();
        assert!(missing.is_usage() && missing.to_string().contains("missing: No such file"), "{missing}");
        fs::write(folder.path().join("empty"), "").unwrap();
        assert!(run(vec![folder.path().join("empty")], None, None).unwrap_err().is_usage());
        fs::write(folder.path().join("env"), "OIDC_PROVIDER=https://dex.example.com/dex\n").unwrap();
        let nowhere = run(vec![folder.path().join("env")], Some(folder.path().join("no/file")), None).unwrap_err();
        assert!(!nowhere.is_usage(), "{nowhere}");
    }
}
