//! What a source is subscribed to, and what it is subscribed to no more.
//!
//! A persistent session remembers the filters of former configurations. So what was asked for is written down before
//! it is asked for, and what is not wanted any more is given up once the rest is granted.

use super::SourceConfig;
use super::broker::Link;
use crate::{Registry, RegistryError};
use std::sync::Arc;

pub(super) struct Subscriptions {
    source: String,
    wanted: Vec<String>,
    registry: Arc<Registry>,
    /// Filters of former configurations that the broker has not given up yet, once that is known.
    former: Vec<String>,
    /// Of these, how many it has not answered for.
    unanswered: usize,
}

impl Subscriptions {
    pub(super) fn new(config: &SourceConfig, registry: Arc<Registry>) -> Subscriptions {
        Subscriptions {
            source: config.name.clone(),
            wanted: config.subscriptions(),
            registry,
            former: Vec::new(),
            unanswered: 0,
        }
    }

    /// A connection has begun: asks for everything, whether or not the broker remembers it.
    pub(super) async fn begin(&mut self, link: &Link) {
        self.unanswered = 0;
        match self.note_wanted().await {
            Ok(former) => self.former = former,
            Err(error) => tracing::warn!(source = self.source, %error, "former subscriptions can't be read"),
        }
        link.subscribe(&self.wanted);
    }

    /// The broker has answered, filter by filter.
    pub(super) fn granted(&mut self, granted: &[bool], link: &Link) {
        for (filter, _) in self.wanted.iter().zip(granted).filter(|(_, is_granted)| !**is_granted) {
            tracing::warn!(source = self.source, filter, "the broker refuses this subscription");
        }
        self.unanswered = self.former.len();
        for filter in &self.former {
            link.unsubscribe(filter);
        }
    }

    /// The broker has given up one of the former filters.
    pub(super) async fn released(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.unanswered > 0 || self.former.is_empty() {
            return;
        }
        tracing::info!(source = self.source, filters = ?self.former, "subscriptions given up");
        self.former.clear();
        if let Err(error) = self.set(self.wanted.clone()).await {
            tracing::warn!(source = self.source, %error, "subscriptions can't be written down");
        }
    }

    /// Writes down what is wanted beside what was; returns what of it is wanted no more.
    async fn note_wanted(&self) -> Result<Vec<String>, RegistryError> {
        let (registry, source, wanted) = (self.registry.clone(), self.source.clone(), self.wanted.clone());
        let noted = tokio::task::spawn_blocking(move || {
            let mut all = registry.subscriptions(&source)?;
            let former: Vec<String> = all.iter().filter(|filter| !wanted.contains(filter)).cloned().collect();
            all.extend(wanted);
            registry.set_subscriptions(&source, &all)?;
            Ok(former)
        });
        noted.await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    async fn set(&self, filters: Vec<String>) -> Result<(), RegistryError> {
        let (registry, source) = (self.registry.clone(), self.source.clone());
        let set = tokio::task::spawn_blocking(move || registry.set_subscriptions(&source, &filters));
        set.await.unwrap_or(Ok(()))
    }
}
