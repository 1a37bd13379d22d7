//! What was measured on, and what.

use std::fs;
use std::process::Command;

/// A line each: the processor, the memory, the kernel, the compiler, the commit.
#[must_use]
pub(super) fn description() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    vec![
        ("processor", format!("{cores} cores, {model}; client and servers share them")),
        ("memory", field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned())),
        ("kernel", told("uname", &["-sr"])),
        ("compiler", told("rustc", &["--version"])),
        ("load", told("h2load", &["--version"])),
        ("commit", told("git", &["describe", "--always", "--dirty", "--abbrev=12"])),
        ("date", told("date", &["--utc", "+%Y-%m-%d %H:%M UTC"])),
        ("load average before", load),
    ]
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
}

fn told(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}
