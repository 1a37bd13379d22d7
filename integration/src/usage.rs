//! What a process has used, as the kernel tells it (proc(5)).

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The kernel counts time in hundredths of a second (`CLK_TCK`).
const TICK: Duration = Duration::from_millis(10);

/// User and system time of a process so far, of all its threads.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("the process has gone")?;
    ticks(&stat).map(|ticks| TICK * ticks).with_context(|| format!("no times: {stat}"))
}

/// The memory that a process holds, in KiB.
pub fn resident_kib(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("the process has gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    number.with_context(|| format!("no memory: {status}"))
}

/// `utime` and `stime`, the 14th and 15th field. The second one is a name, which may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_stand_behind_the_name() {
        assert_eq!(ticks("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20"), Some(154));
        assert!(cpu_time(std::process::id()).is_ok());
        assert!(resident_kib(std::process::id()).unwrap() > 1000);
    }
}
