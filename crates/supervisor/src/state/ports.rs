//! The ports of one system: fixed ones are checked, the others are chosen once and kept for the next start.

use super::claim::State;
use super::private;
use crate::error::Error;
use onefold_core::topology::Fault;
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Below the range from which systems take ports for outgoing connections, so that a port is still free when a
/// process comes back to it.
const CHOICE: RangeInclusive<u16> = 15_000..=31_999;
const TRIES_MAX: u32 = 200;

/// The ports of one system.
#[derive(Debug)]
pub struct Ports {
    path: PathBuf,
    remembered: BTreeMap<String, u16>,
    block: Option<Block>,
    given: BTreeMap<String, u16>,
}

#[derive(Debug)]
struct Block {
    base: u16,
    next: u16,
}

impl Ports {
    /// The ports that the state remembers; with `base` (`--port N`) all are taken from a block above it instead,
    /// the first four of which are named in the fixed interfaces.
    pub fn open(state: &State, base: Option<u16>) -> Self {
        const NAMED: u16 = 4;
        let path = state.path().join("ports.json");
        // Lost or broken, they are chosen again.
        let remembered = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let block = base.map(|base| Block { base, next: base.saturating_add(NAMED) });
        Self { path, remembered: remembered.unwrap_or_default(), block, given: BTreeMap::new() }
    }

    /// A listener with an address of its own: `wanted`, or with `--port N` the port N + `offset`.
    ///
    /// # Errors
    /// [`Error::PortInUse`] where it is taken, with the setting `field` that names it.
    pub fn fixed(&mut self, field: &str, wanted: SocketAddr, offset: u16) -> Result<SocketAddr, Error> {
        let Some(block) = &self.block else {
            let fix = format!("stop that program, or set {field} to another address");
            return check(field, field, wanted, &fix);
        };
        let address = SocketAddr::new(wanted.ip(), block.base.saturating_add(offset));
        self.in_block(field, address)
    }

    /// A loopback port for the listener `name`: the one of the last start if it is free, else another one; with
    /// `--port N` the next one of the block.
    ///
    /// # Errors
    /// [`Error::PortInUse`] where the block's port is taken, or where no port is free at all.
    pub fn any(&mut self, name: &str) -> Result<SocketAddr, Error> {
        if let Some(block) = &mut self.block {
            let address = loopback(block.next);
            block.next = block.next.saturating_add(1);
            return self.in_block(name, address);
        }
        let remembered = self.remembered.get(name).copied().filter(|port| self.is_free(*port));
        let chosen = remembered.or_else(|| self.choose());
        let port = chosen.ok_or_else(|| {
            let (first, last) = (CHOICE.start(), CHOICE.end());
            let fix = format!("free a port between {first} and {last}");
            Error::PortInUse(Fault::new(name, "no port that was tried is free", fix))
        })?;
        self.given.insert(name.to_owned(), port);
        Ok(loopback(port))
    }

    /// Remembers what was given, for the next start.
    ///
    /// # Errors
    /// [`Error::State`] where that cannot be written.
    pub fn save(&self) -> Result<(), Error> {
        if self.block.is_some() {
            return Ok(());
        }
        let all: BTreeMap<_, _> = self.remembered.iter().chain(&self.given).collect();
        let bytes = serde_json::to_vec_pretty(&all).map_err(std::io::Error::from);
        let written = bytes.and_then(|bytes| private::replace(&self.path, &bytes));
        written.map_err(|error| Error::state(&self.path, "write", &error))
    }

    fn in_block(&mut self, name: &str, address: SocketAddr) -> Result<SocketAddr, Error> {
        self.given.insert(name.to_owned(), address.port());
        let fix = "stop that program, or move the whole block with another --port";
        check(&format!("--port ({name})"), name, address, fix)
    }

    fn is_free(&self, port: u16) -> bool {
        !self.given.values().any(|given| *given == port) && free(loopback(port))
    }

    fn choose(&self) -> Option<u16> {
        let reserved = |port: u16| self.remembered.values().any(|remembered| *remembered == port);
        let mut chance = rand::rng();
        (0..TRIES_MAX)
            .map(|_| chance.random_range(CHOICE))
            .find(|port| !reserved(*port) && self.is_free(*port))
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Listens for a moment; `setting` is what an address that this machine cannot have is changed by.
fn check(field: &str, setting: &str, address: SocketAddr, freed: &str) -> Result<SocketAddr, Error> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(error) => Err(Error::PortInUse(Fault::listen(field, setting, address, &error, freed))),
    }
}

fn free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn ports_are_kept_while_they_are_free() {
        let scratch = Scratch::new();
        let state = State::claim(&scratch.path()).unwrap();
        let mut ports = Ports::open(&state, None);
        let (a, b) = (ports.any("app-a").unwrap(), ports.any("app-b").unwrap());
        assert_ne!(a, b);
        ports.save().unwrap();
        let taken = TcpListener::bind(b).unwrap();
        let mut again = Ports::open(&state, None);
        assert_eq!(again.any("app-a").unwrap(), a);
        assert_ne!(again.any("app-b").unwrap(), b);
        drop(taken);
    }

    #[test]
    fn a_port_in_use_names_the_setting_the_address_and_the_fix() {
        let scratch = Scratch::new();
        let state = State::claim(&scratch.path()).unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Ports::open(&state, None).fixed("balancer.listen", address, 0).unwrap_err();
        let expected = format!(
            "balancer.listen: {address} is in use by another program; stop that program, or set balancer.listen \
             to another address"
        );
        assert_eq!((error.to_string(), error.exit_status()), (expected, 2));
        let mut block = Ports::open(&state, Some(address.port()));
        let error =
            block.fixed("balancer.listen", "127.0.0.1:8080".parse().unwrap(), 0).unwrap_err().to_string();
        assert!(error.contains("--port") && error.contains(&address.to_string()), "{error}");

        // RFC 5737: nobody's address.
        let elsewhere = "192.0.2.1:8080".parse().unwrap();
        let error = Ports::open(&state, None).fixed("balancer.listen", elsewhere, 0).unwrap_err();
        assert!(error.to_string().contains("set balancer.listen to an address of this machine"), "{error}");
    }
}
