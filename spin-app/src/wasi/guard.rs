//! One instance of the component: what it keeps from one request to the next, and what it does between them.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use aecp_contract::refusal::Refusal;
#[cfg(not(feature = "sealed"))]
use futures_util::FutureExt as _;
use wasip3::{clocks::monotonic_clock, wit_bindgen::spawn};

use super::{
    host::{self, Store},
    message::in_time,
    web::Web,
};
use crate::{key_value::Kept, log, record::Recorder, release::Keeper, settings::Settings, ship};

/// How long one look for a newer release may take in all.
const POLL_WITHIN: Duration = Duration::from_secs(60);

/// How long it may take to carry logs.
const SHIP_WITHIN: Duration = Duration::from_secs(60);

/// How long a request waits for the very first release, and how often it looks whether it is there.
const FIRST_WITHIN: Duration = Duration::from_secs(10);
const FIRST_STEP: Duration = Duration::from_millis(2);

/// The longest pause between two looks while there is nothing to decide with.
const IMPATIENT: Duration = Duration::from_secs(2);

/// How long records that can wait do, so that many become one write.
const GATHERING: Duration = Duration::from_millis(50);

/// How many such times what is only counted waits: each write makes requests wait for the store.
const COUNTING: u32 = 20;

/// All that an instance has.
pub(super) struct Guard {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) keeper: Keeper,
    pub(super) recorder: Recorder,
    /// When a newer release is to be looked for.
    poll_at: Cell<Instant>,
    polls: Cell<bool>,
    /// When the log is to be carried.
    ship_at: Cell<Instant>,
    ships: Cell<bool>,
    flushes: Cell<bool>,
}

thread_local! {
    static GUARD: RefCell<Option<Rc<Guard>>> = const { RefCell::new(None) };
    static COMPLAINED: Cell<bool> = const { Cell::new(false) };
}

impl Guard {
    /// The instance's own, made with its first request: with the last good release if the key-value store has one.
    /// `None` if the component is not set up as it must be, which is logged.
    pub(super) fn get() -> Option<Rc<Self>> {
        if let Some(guard) = GUARD.with_borrow(Clone::clone) {
            return Some(guard);
        }
        match Self::new() {
            Ok(guard) => {
                let guard = Rc::new(guard);
                GUARD.with_borrow_mut(|kept| *kept = Some(Rc::clone(&guard)));
                Some(guard)
            }
            Err(why) => {
                if !COMPLAINED.replace(true) {
                    log::warn("not_set_up", &why);
                }
                None
            }
        }
    }

    fn new() -> Result<Self, String> {
        let settings = host::settings()?;
        let store = Store::open(&settings.bucket)
            .map_err(|failed| format!("the key-value store `{}`: {}", settings.bucket, failed.0))?;
        let keeper = Keeper::new(settings.root.clone(), settings.channel.clone())?;
        #[cfg(feature = "sealed")]
        let taken =
            keeper.seal(|engine, root| super::sealed::load(engine, &settings, root), &Kept(&store));
        // The key-value store answers at once, so nothing is waited for here.
        #[cfg(not(feature = "sealed"))]
        let taken = keeper.recall(&Kept(&store)).now_or_never().unwrap_or(Ok(()));
        if let Err(refusal) = taken {
            log::refused(&refusal);
        }
        let random = getrandom::u64().map_err(|error| error.to_string())?;
        let log = settings.audit.new_log(random).ok_or("the name of its log is none")?;
        let every = settings.audit.every;
        let recorder = Recorder::new(log, settings.audit.rules.clone());
        Ok(Self {
            settings,
            store,
            keeper,
            recorder,
            poll_at: Cell::new(Instant::now()),
            polls: Cell::new(false),
            ship_at: Cell::new(Instant::now() + jittered(every)),
            ships: Cell::new(false),
            flushes: Cell::new(false),
        })
    }

    /// Waits for a release where there is none to decide with, or only a stale one.
    pub(super) async fn ready(&self) {
        let until = Instant::now() + FIRST_WITHIN;
        while self.keeper.usable().1.is_err() {
            if self.is_poll_due() {
                in_time(self.poll(), FIRST_WITHIN).await;
                self.polls.set(false);
            } else if self.polls.get() && Instant::now() < until {
                // Another request is at it.
                let step = u64::try_from(FIRST_STEP.as_nanos()).unwrap_or(u64::MAX);
                monotonic_clock::wait_for(step).await;
            } else {
                return;
            }
        }
    }

    /// Lets what can wait be done after the answer.
    pub(super) fn after(self: &Rc<Self>) {
        if !self.flushes.replace(true) {
            let guard = Rc::clone(self);
            spawn(async move {
                let gathering = u64::try_from(GATHERING.as_nanos()).unwrap_or(u64::MAX);
                for _ in 0..COUNTING {
                    monotonic_clock::wait_for(gathering).await;
                    if guard.recorder.has_entries() {
                        break;
                    }
                }
                guard.flushes.set(false);
                guard.recorder.flush(&guard.store);
            });
        }
        if Instant::now() >= self.ship_at.get() && !self.ships.replace(true) {
            let guard = Rc::clone(self);
            spawn(async move { guard.ship().await });
        }
        if self.is_poll_due() {
            let guard = Rc::clone(self);
            // Taken here, so that no other request takes it too before the task runs.
            guard.polls.set(true);
            spawn(async move { guard.poll().await });
        }
    }

    /// Carries logs, if there is a place for them.
    async fn ship(&self) {
        let Settings { audit, channel, .. } = &self.settings;
        if let Some(place) = &audit.place {
            let store = Web(place);
            let work = ship::ship(audit, channel, &self.recorder, &store, &self.store);
            match in_time(work, SHIP_WITHIN).await {
                Some(Ok(())) => {}
                Some(Err(refusal)) => log::warn("not_carried", &refusal.to_string()),
                None => log::warn("not_carried", "the store of logs is slow"),
            }
        }
        self.ship_at.set(Instant::now() + jittered(audit.every));
        self.ships.set(false);
    }

    fn is_poll_due(&self) -> bool {
        // A release that is sealed in stays.
        cfg!(not(feature = "sealed")) && !self.polls.get() && Instant::now() >= self.poll_at.get()
    }

    /// Looks for a newer release, once.
    async fn poll(&self) {
        self.polls.set(true);
        match in_time(self.look(), POLL_WITHIN).await {
            Some(Ok(())) => {}
            Some(Err(refusal)) => log::refused(&refusal),
            None => log::refused(&Refusal::new(
                aecp_contract::refusal::Code::StoreUnavailable,
                format!("the poll took more than {} s", POLL_WITHIN.as_secs()),
            )),
        }
        let usable = self.keeper.usable().1.is_ok();
        let pause = if usable { self.settings.poll } else { self.settings.poll.min(IMPATIENT) };
        self.poll_at.set(Instant::now() + jittered(pause));
        self.polls.set(false);
    }

    async fn look(&self) -> Result<(), Refusal> {
        #[cfg(not(feature = "sealed"))]
        self.keeper.poll(&Web(&self.settings.store), &Kept(&self.store)).await?;
        Ok(())
    }
}

/// Uniform within ± 50 %, so that many instances do not ask at the same time.
fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX))
}
