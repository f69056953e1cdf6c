//! Which trials wait for a call, as this process knows: on staging, and nowhere else.
//!
//! 1. [`Trials::look`] reads a tiny table once a second; outside staging there is no proof to read
//!    it with, so nothing is ever armed there;
//! 2. a request asks [`Trials::take`], which costs one load of a boolean while nothing waits, and a
//!    conditional write where something does: of two processes one takes it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use grantor_protocol::environment::{Environment, Staging};
use grantor_protocol::trial::Trial;

use crate::store::{ArmedTrial, Store, client_key};

/// What waits.
#[derive(Debug)]
pub struct Trials {
    /// The proof, where this is staging.
    staging: Option<Staging>,
    any: AtomicBool,
    armed: Mutex<Vec<ArmedTrial>>,
}

impl Trials {
    /// Those of an environment: of staging what is armed there, of any other none, ever.
    pub fn of(environment: Environment) -> Trials {
        let armed = Mutex::new(Vec::new());
        Trials { staging: environment.staging(), any: AtomicBool::new(false), armed }
    }

    /// Reads what waits.
    pub async fn look(&self, store: &Store, now: i64) {
        let Some(staging) = self.staging else {
            return;
        };
        match store.armed_trials(staging, now).await {
            Ok(armed) => {
                self.any.store(!armed.is_empty(), Relaxed);
                *self.lock() = armed;
            }
            // It is a toy: the next second tries again.
            Err(error) => tracing::debug!(%error, "trials.look"),
        }
    }

    /// Takes a trial that waits for a call of that client, if one does.
    pub async fn take(&self, store: &Store, client_id: &str, trial: Trial, now: i64) -> bool {
        if !self.any.load(Relaxed) {
            return false;
        }
        let Some(staging) = self.staging else {
            return false;
        };
        let key = client_key(client_id);
        let waits = |armed: &ArmedTrial| armed.client_key == key && armed.trial == trial;
        let found = {
            let mut armed = self.lock();
            armed.iter().position(waits).map(|at| armed.swap_remove(at))
        };
        if found.is_none() {
            return false;
        }
        match store.take_trial(staging, client_id, trial, now).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "trials.take");
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ArmedTrial>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
