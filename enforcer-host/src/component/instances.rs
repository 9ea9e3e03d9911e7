//! Instances of the component: made when requests come, used for many of them, some at the same time, and ended when they
//! are used up, at rest for long, or take too long.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Sleep, sleep, timeout},
};
use wasmtime::{
    Engine, ResourceLimiter, Store, StoreContextMut,
    component::{GuestTaskId, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    WasiHttpCtx, WasiHttpCtxView, WasiHttpView,
    handler::{
        HandlerState, Instance, Proxy, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState,
        WorkerStatus,
    },
};

use super::{
    Limits,
    interfaces::{Shared, View},
    outbound::Outbound,
};
use crate::server::told;

/// How long an instance at rest is kept.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// How much longer than a request an instance that does not let go of the processor is given.
const GRACE: Duration = Duration::from_secs(1);

/// Requests that an instance of WASI 0.3 serves at the same time: as many as in Spin.
const AT_ONCE: usize = 16;

/// The most entries of an instance's tables of functions, all together.
const MAX_TABLE_ELEMENTS: usize = 1_000_000;

/// The most resources, tasks, streams and futures of an instance.
const MAX_RESOURCES: usize = 10_000;

/// What makes instances.
pub(super) struct Instances {
    pub(super) engine: Engine,
    pub(super) component: Arc<ProxyPre<Guest>>,
    pub(super) shared: Shared,
    pub(super) outbound: Outbound,
    pub(super) limits: Limits,
    /// As many as there may be at once.
    pub(super) places: Arc<Semaphore>,
    pub(super) closing: watch::Receiver<bool>,
}

/// The host's side of one instance.
pub(super) struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    shared: Shared,
    room: Room,
    /// Given back when the instance is gone.
    _place: OwnedSemaphorePermit,
}

impl Guest {
    pub(super) fn view(&mut self) -> View<'_> {
        View { shared: &self.shared, table: &mut self.table }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

/// What is left of an instance's memory and tables, over all modules in it.
struct Room {
    memory: usize,
    table: usize,
    /// Below this much of memory the instance is worn: it ends before it takes too much.
    enough: usize,
    is_worn: Arc<AtomicBool>,
}

impl ResourceLimiter for Room {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let is_given = take(&mut self.memory, desired.saturating_sub(current));
        if self.memory < self.enough {
            self.is_worn.store(true, Ordering::Relaxed);
        }
        Ok(is_given)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(take(&mut self.table, desired.saturating_sub(current)))
    }
}

fn take(left: &mut usize, much: usize) -> bool {
    match left.checked_sub(much) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

impl HandlerState for Instances {
    type StoreData = Guest;
    type WorkerExpiration = Expiry;
    type WorkerState = Use;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Guest, Expiry, Use>> {
        let time = self.limits.request_time;
        let place = timeout(time, Arc::clone(&self.places).acquire_owned()).await??;
        let memory = self.limits.memory_bytes;
        let is_worn = Arc::new(AtomicBool::new(false));
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let guest = Guest {
            table,
            // No files, no arguments, no variables, no sockets; what it prints goes where our log goes.
            wasi: WasiCtx::builder()
                .allow_tcp(false)
                .allow_udp(false)
                .stdout(wasmtime_wasi::cli::stderr())
                .inherit_stderr()
                .build(),
            http: WasiHttpCtx::new(),
            outbound: self.outbound.clone(),
            shared: self.shared.clone(),
            room: Room {
                memory,
                table: MAX_TABLE_ELEMENTS,
                enough: memory / 2,
                is_worn: Arc::clone(&is_worn),
            },
            _place: place,
        };
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.room);
        store.set_hostcall_fuel(memory);
        store.set_max_component_handles(MAX_RESOURCES);
        if let Some(table) = store.concurrent_resource_table() {
            table.set_max_capacity(MAX_RESOURCES);
        }
        // It lets go of the processor at each tick, so that its time can be seen to be over.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let proxy = timeout(time, self.component.instantiate_async(&mut store)).await??;
        // WASI 0.2 knows one request for each instance.
        let reuse = if matches!(proxy, Proxy::P2(_)) { 1 } else { self.limits.reuse };
        Ok(Instance {
            store,
            proxy,
            view: Guest::http,
            expiration: Expiry {
                limits: self.limits,
                alarm: Box::pin(sleep(IDLE_TIME)),
                closing: Box::pin(told(self.closing.clone())),
            },
            state: Use { reuse, is_worn, time, closing: self.closing.clone() },
        })
    }
}

/// When an instance ends.
pub(super) struct Expiry {
    limits: Limits,
    alarm: Pin<Box<Sleep>>,
    closing: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl WorkerExpiration for Expiry {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        let time = match status {
            WorkerStatus::Idle if self.closing.as_mut().poll(cx).is_ready() => return Poll::Ready(()),
            WorkerStatus::Idle => IDLE_TIME,
            WorkerStatus::Requests => self.limits.request_time + GRACE,
            WorkerStatus::PostReturn => self.limits.exchange_time + GRACE,
        };
        let end = (start + time).into();
        if self.alarm.deadline() != end {
            self.alarm.as_mut().reset(end);
        }
        self.alarm.as_mut().poll(cx)
    }
}

/// What an instance takes on.
pub(super) struct Use {
    /// How many requests in its life.
    reuse: usize,
    is_worn: Arc<AtomicBool>,
    time: Duration,
    closing: watch::Receiver<bool>,
}

impl WorkerState for Use {
    type StoreData = Guest;
    type RequestData = ();

    fn should_accept_request(&self, at_once: usize, before: usize) -> ShouldAccept {
        let is_to_end = || self.is_worn.load(Ordering::Relaxed) || *self.closing.borrow();
        if before >= self.reuse || (before > 0 && is_to_end()) {
            ShouldAccept::Never
        } else if at_once >= AT_ONCE {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Guest>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        Box::pin(sleep(self.time))
    }

    fn drop(&self, store: Store<Guest>, result: wasmtime::Result<()>) {
        if let Err(error) = result {
            tracing::warn!(error = format!("{error:#}"), "an instance of the component failed");
        }
        drop(store);
    }
}
