//! Loopback ports that no other process of the tests can take.
//!
//! Envoy listens with `SO_REUSEPORT`, so two Envoys on one port both start and silently share its
//! connections. A port that the kernel called free a moment ago is therefore not safe enough. Here
//! each port is a lock on a file, shared by every test process of the machine, and lies outside the
//! range from which the kernel serves ports of its own choice.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

/// The first port that is given out.
const FIRST: u16 = 15_000;

/// A loopback port that is ours until the value is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Its lock keeps other test processes away from the number.
    _lock: File,
}

impl Port {
    /// Takes a free port.
    ///
    /// # Errors
    /// Where none is free, or the locks cannot be written.
    pub fn take() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);

        let folder = std::env::temp_dir().join("portcullis-test-ports");
        fs::create_dir_all(&folder)?;
        let count = u32::from(kernel_range_start() - FIRST);
        // Processes start at different places, so that they rarely try each other's ports.
        let offset = std::process::id().wrapping_mul(61);
        for _ in 0..count {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let index = offset.wrapping_add(step) % count;
            let number = FIRST + u16::try_from(index).map_err(io::Error::other)?;
            if let Some(port) = Self::try_number(&folder, number)? {
                return Ok(port);
            }
        }
        Err(io::Error::other(format!("no free loopback port from {FIRST} on")))
    }

    fn try_number(folder: &Path, number: u16) -> io::Result<Option<Self>> {
        let path = folder.join(number.to_string());
        let lock = File::options().create(true).write(true).truncate(false).open(path)?;
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        // Somebody outside of the tests may listen there, on loopback or on every address.
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_err() {
            return Ok(None);
        }
        Ok(Some(Self { number, _lock: lock }))
    }

    /// The port's number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// The first port that the kernel hands out by itself (Linux, `ip_local_port_range`).
fn kernel_range_start() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .filter(|start| *start >= FIRST + 1000)
        .unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ports_are_distinct_and_can_be_bound() {
        let ports: Vec<Port> = (0..50).map(|_| Port::take().unwrap()).collect();
        let numbers: HashSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 50);
        for port in &ports {
            TcpListener::bind(port.address()).unwrap();
        }
    }

    #[test]
    fn a_taken_port_is_not_given_twice() {
        let folder = std::env::temp_dir().join("portcullis-test-ports");
        let port = Port::take().unwrap();
        assert!(Port::try_number(&folder, port.number()).unwrap().is_none());
    }
}
