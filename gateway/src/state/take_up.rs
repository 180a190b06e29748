//! From what was found again to sessions that go on.

use super::{RestoredSession, release, restore};
use crate::GatewayError;
use crate::fanout::{Membership, Publication, check_filter};
use crate::gateway::Gate;
use crate::kept::{Absence, Over};
use crate::outage::Closed;
use crate::session::Subscriber;
use records::Producer;
use std::sync::Arc;

/// Takes up the sessions of an earlier process, and what it has retained.
pub(crate) async fn take_up<P: Producer>(gate: &Arc<Gate<P>>) -> Result<(), GatewayError> {
    let restored = restore(&*gate.store, (gate.clock)()).await;
    let restored = restored.map_err(|source| GatewayError::Sessions { place: gate.store.place(), source })?;
    gate.note(restored.changes).await.map_err(|Closed| GatewayError::LogClosed)?;
    gate.numbers.go_on(restored.last_number);
    let (sessions, retained) = (restored.sessions.len(), restored.retained.len());
    let refused = gate.fanout.restore(restored.retained, (gate.clock)());
    gate.note_later(refused.iter().map(release).collect());
    for session in restored.sessions {
        go_on(gate, session);
    }
    // Behind the subscriptions: whoever is owed them gets them now.
    let last = restored.on_their_way.iter().filter_map(Publication::number).max();
    gate.fanout.go_on(last.unwrap_or(0));
    gate.note_later(gate.fanout.publish_again(restored.on_their_way));
    tracing::info!(sessions, retained, "sessions and retained messages taken up");
    Ok(())
}

/// A session of an earlier process, unless its client may not have any more what it had subscribed to.
fn go_on<P: Producer>(gate: &Arc<Gate<P>>, session: RestoredSession) {
    let RestoredSession { number, client, expiry, received, subscriptions, letters, .. } = session;
    let is_allowed =
        subscriptions.iter().all(|(filter, ..)| gate.roster.may_subscribe(&client.device, filter));
    if !is_allowed {
        return gate.bury([Over { number, testament: None }]);
    }
    let subscriber = (!subscriptions.is_empty() || !letters.is_empty()).then(|| {
        let mut membership = Membership::new(gate.fanout.clone(), Some(number));
        for (filter, options, identifier) in subscriptions {
            if let Some(filter) = check_filter(&filter) {
                // It stands where it is noted.
                membership.subscribe(&filter, options, identifier, (gate.clock)());
            }
        }
        Box::new(Subscriber::restored(membership, letters))
    });
    let absence = Absence { number, received, subscriber };
    gate.bury(gate.kept.put(&client, absence, None, expiry, gate.sessions.now()));
}
