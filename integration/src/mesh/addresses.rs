//! Loopback addresses that stand for the pods of a mesh.
//!
//! Each pod has an address of its own, so that every port keeps the number that the manifests and
//! Istio give it. Like a [`crate::ports::Port`], a block of them is a lock on a file.

use std::fs::{self, File};
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};

/// 127.1.N.0/24, ours until the value is dropped.
#[derive(Debug)]
pub(super) struct Block {
    third: u8,
    /// Its lock keeps other test processes away from the block.
    _lock: File,
}

impl Block {
    /// Takes a free block.
    pub(super) fn take() -> Result<Self> {
        let folder = std::env::temp_dir().join("portcullis-test-addresses");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for third in 0..=u8::MAX {
            let path = folder.join(third.to_string());
            let lock = File::options()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&path)
                .with_context(|| format!("cannot open {}", path.display()))?;
            if lock.try_lock().is_ok() {
                return Ok(Self { third, _lock: lock });
            }
        }
        bail!("no free block of loopback addresses")
    }

    /// One address of the block.
    pub(super) fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 1, self.third, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_distinct_loopback() {
        let (one, other) = (Block::take().unwrap(), Block::take().unwrap());
        assert_ne!(one.address(7), other.address(7));
        assert!(one.address(7).is_loopback());
    }
}
