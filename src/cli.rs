//! The command line: commands, and the exit codes that scripts may rely on.

mod administration;
mod connection;
mod explain;
mod failure;
mod junit;
mod migrate;
mod probe;
mod provider;
mod revocations;
mod rule_test_words;
mod rule_tests;
mod rules;
mod shadow;
mod table;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand, error::ErrorKind};

use self::{
    administration::AdministrationCommand, failure::Fault, migrate::MigrateCommand, probe::Probe,
    provider::ProviderCommand, rule_tests::Test, rules::Rules, shadow::ShadowCommand,
};
use crate::{
    app::{self, AppError},
    config, config_file,
};

/// What was tested is not as it is expected.
const EXIT_FAILED: u8 = 1;
/// The configuration or the command line is wrong (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;
/// The running process, or what it needs, does not answer (`EX_UNAVAILABLE`).
const EXIT_UNAVAILABLE: u8 = 69;
/// Something failed that is not the configuration's fault (`EX_SOFTWARE`).
const EXIT_INTERNAL: u8 = 70;

/// The authenticating gatekeeper beside an Envoy or Istio ingress gateway.
///
/// Exit codes: 0 fine, 1 a test of rules failed, 64 the configuration or the command line is wrong, 69 the running process or what it needs
/// does not answer or has a fault, 70 something else failed.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve, until SIGTERM or SIGINT.
    Serve {
        /// The configuration file (YAML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration with everything that it refers to; prints OK, with warnings of what may be a mistake, or
    /// every error with its field.
    CheckConfig {
        /// The configuration file (YAML).
        file: PathBuf,
    },
    /// Run tables of requests against the rules of a configuration, offline: what is decided, by which rule, and what the
    /// service is told. Fails on a decision that is otherwise than expected, on a rule that no case reaches, and on one that
    /// can never match. Files that the configuration names are not read.
    Test(Test),
    /// Print the rules of a configuration in their order, as they are read, and which comes first for what others hold for.
    Rules(Rules),
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Ask the process of this machine whether it is ready, for container engines that run a command to know.
    Probe(Probe),
    /// The identity providers of a configuration.
    Provider {
        #[command(subcommand)]
        command: ProviderCommand,
    },
    /// Make a configuration of another gatekeeper's, and tell what is carried over, changed, dropped and left to do. No
    /// secret is written or told.
    Migrate {
        #[command(subcommand)]
        command: MigrateCommand,
    },
    /// What would be decided where nothing of ours decides yet.
    Shadow {
        #[command(subcommand)]
        command: ShadowCommand,
    },
    #[command(flatten)]
    Administration(AdministrationCommand),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => command(arguments.command),
        Err(error) => {
            // Help and version are no errors; clap knows which stream each belongs to.
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let code = if asked_for { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CONFIG) };
            if error.print().is_ok() { code } else { ExitCode::from(EXIT_INTERNAL) }
        }
    }
}

fn command(command: Command) -> ExitCode {
    match command {
        Command::Serve { config } => match app::serve(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // Whatever else fails is in the log.
                if matches!(error, AppError::Config(_) | AppError::Log(_)) {
                    let _ = print(&mut io::stderr(), &error.to_string());
                }
                ExitCode::from(if error.is_configuration() { EXIT_CONFIG } else { EXIT_INTERNAL })
            }
        },
        Command::CheckConfig { file } => check_config(&file, &mut io::stdout(), &mut io::stderr()),
        Command::Test(test) => match test.run() {
            Ok(tested) => {
                let printed = print(&mut io::stdout(), &tested.text);
                if tested.is_good { printed } else { ExitCode::from(EXIT_FAILED) }
            }
            Err(error) => {
                let _ = print(&mut io::stderr(), &format!("portcullis: {error}"));
                ExitCode::from(if error.is_usage() { EXIT_CONFIG } else { EXIT_INTERNAL })
            }
        },
        Command::Rules(rules) => match rules.run() {
            Ok(text) => print(&mut io::stdout(), &text),
            Err(error) => {
                let _ = print(&mut io::stderr(), &error.to_string());
                ExitCode::from(EXIT_CONFIG)
            }
        },
        Command::Provider { command } => match command.run() {
            Ok(checked) => {
                let printed = print(&mut io::stdout(), &checked.text);
                if checked.has_fault { ExitCode::from(EXIT_UNAVAILABLE) } else { printed }
            }
            Err(error) => {
                let _ = print(&mut io::stderr(), &error.to_string());
                ExitCode::from(if error.is_usage() { EXIT_CONFIG } else { EXIT_INTERNAL })
            }
        },
        Command::Migrate { command } => match command.run() {
            Ok(migrated) => {
                // The report first: who reads both on one screen ends at what is to be copied.
                let told = migrated.report.map_or(ExitCode::SUCCESS, |report| print(&mut io::stderr(), &report));
                let printed = migrated.configuration.map(|text| print(&mut io::stdout(), text.trim_end()));
                printed.unwrap_or(told)
            }
            Err(error) => {
                let _ = print(&mut io::stderr(), &format!("portcullis: {error}"));
                ExitCode::from(if error.is_usage() { EXIT_CONFIG } else { EXIT_INTERNAL })
            }
        },
        Command::Shadow { command } => match command.run() {
            Ok(report) => print(&mut io::stdout(), &report),
            Err(error) => {
                let _ = print(&mut io::stderr(), &format!("portcullis: {error}"));
                ExitCode::from(EXIT_CONFIG)
            }
        },
        Command::Administration(command) => match command.run() {
            Ok(text) => print(&mut io::stdout(), &text),
            Err(error) => {
                let _ = print(&mut io::stderr(), &format!("portcullis: {error}"));
                ExitCode::from(match error.fault() {
                    Fault::Usage => EXIT_CONFIG,
                    Fault::Unavailable => EXIT_UNAVAILABLE,
                    Fault::Internal => EXIT_INTERNAL,
                })
            }
        },
        Command::Probe(probe) => match probe.run() {
            Ok(()) => print(&mut io::stdout(), "ready"),
            Err(error) => {
                let _ = print(&mut io::stderr(), &format!("portcullis: {error}"));
                ExitCode::from(EXIT_UNAVAILABLE)
            }
        },
        Command::Schema => print(&mut io::stdout(), &format!("{:#}", config_file::json_schema())),
    }
}

/// Tells whether the configuration would start: OK and what may be a mistake, or all that is wrong.
fn check_config(file: &Path, output: &mut dyn io::Write, problems: &mut dyn io::Write) -> ExitCode {
    match config::load(file) {
        Ok(settings) => {
            for warning in &settings.warnings {
                let _ = print(problems, &format!("warning: {warning}"));
            }
            print(output, "OK")
        }
        Err(error) => {
            let _ = print(problems, &error.to_string());
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

/// Prints what a command was asked for. A reader that went away is the only failure there is.
fn print(stream: &mut dyn io::Write, text: &str) -> ExitCode {
    let written = writeln!(stream, "{text}").and_then(|()| stream.flush());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INTERNAL) }
}
