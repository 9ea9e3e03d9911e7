//! The whole enforcer without timers of its own, for hosts that stop the process's clock between requests: whoever
//! runs it says when to look for a release and when to carry the log.

use std::{net::SocketAddr, path::Path, sync::Arc};

use aecp_contract::refusal::Refusal;

use crate::{
    enforcer::Enforcer,
    record::{Recorder, ShipError, Shipper},
    refresh::{Polled, Refresher},
    server,
    sidecar::{Parts, SidecarConfig, StartError},
    state::StateFolder,
};

/// A running enforcer that polls and ships when told to. Its API serves as the sidecar's does.
pub struct Driven {
    address: SocketAddr,
    enforcer: Arc<Enforcer>,
    recorder: Arc<Recorder>,
    refresher: Refresher,
    shipper: Shipper,
    /// Locked while anything of the enforcer lives.
    _state: Arc<StateFolder>,
}

impl Driven {
    /// Starts an enforcer that serves the last good release of its state folder, and denies everything while there is
    /// none. Where that folder has none yet, the release in `seed` serves: the absolute path of a copy of a store, which is
    /// believed no more than a store is. The intervals of `config` mean nothing here.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: SidecarConfig, seed: Option<&Path>) -> Result<Self, StartError> {
        let limits = config.limits;
        let Parts { listener, address, enforcer, recorder, state, refresher, shipper } =
            Parts::open(config, seed).await?;
        let router = server::router(Arc::clone(&enforcer), Arc::clone(&recorder), limits);
        tokio::spawn(server::serve(listener, router, limits, std::future::pending()));
        Ok(Self { address, enforcer, recorder, refresher, shipper, _state: state })
    }

    /// Where its API serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What decides.
    #[must_use]
    pub fn enforcer(&self) -> &Arc<Enforcer> {
        &self.enforcer
    }

    /// What records.
    #[must_use]
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Looks once for a newer release. It may be given up at any time and done again.
    ///
    /// # Errors
    /// The [`Refusal`]; the last good release keeps serving.
    pub async fn refresh(&mut self) -> Result<Polled, Refusal> {
        self.refresher.poll().await
    }

    /// Makes all that is recorded durable and carries it to its store. It may be given up at any time and done again.
    ///
    /// # Errors
    /// [`ShipError`]; the log stays on this disk.
    pub async fn ship(&mut self) -> Result<(), ShipError> {
        self.shipper.ship().await
    }

    /// Makes all that is recorded durable, and says how many entries of the log wait here for their store; `None` if the
    /// log cannot be written.
    pub async fn flush(&self) -> Option<u64> {
        Some(self.shipper.waiting(self.recorder.flush().await?))
    }

    /// Ends the log in order and carries it to its store. Nothing is to be recorded after it.
    ///
    /// # Errors
    /// [`ShipError`]; what the store has not taken stays on this disk.
    pub async fn stop(&mut self) -> Result<(), ShipError> {
        self.recorder.stop().await.ok_or(ShipError::NotDurable)?;
        self.shipper.ship().await
    }
}
