//! Who wants what: subscriptions by the levels of their filters.

use super::mailbox::Mailbox;
use crate::packet::{Options, QoS};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A tree of filters. Looking up a topic name costs by its levels, not by how many subscriptions there are.
#[derive(Debug, Default)]
pub(super) struct Table {
    root: Node,
    count: usize,
}

#[derive(Debug, Default)]
struct Node {
    levels: FxHashMap<Box<str>, Node>,
    /// Behind `+`.
    any: Option<Box<Node>>,
    /// Filters that end here.
    here: Place,
    /// Filters that go on with `#`.
    below: Place,
}

/// The subscriptions of one filter.
#[derive(Debug, Default)]
struct Place {
    own: Vec<Subscription>,
    shared: Vec<Group>,
}

/// Those who share a filter under one name: each message goes to one of them.
#[derive(Debug)]
struct Group {
    name: Box<str>,
    members: Vec<Subscription>,
    next: AtomicUsize,
}

#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub mailbox: Arc<Mailbox>,
    pub options: Options,
    pub identifier: Option<u32>,
    /// The first message that is for it.
    pub since: u64,
}

impl Subscription {
    fn is_owed(&self) -> bool {
        self.mailbox.session.is_some() && self.options.qos > QoS::AtMostOnce
    }
}

impl Table {
    /// `true` when the mailbox had no such subscription; otherwise it is replaced.
    pub(super) fn insert(&mut self, filter: &str, subscription: Subscription) -> bool {
        let (group, filter) = split_shared(filter);
        let is_new = self.root.place(filter).insert(group, subscription);
        self.count += usize::from(is_new);
        is_new
    }

    /// `false` when there was no such subscription.
    pub(super) fn remove(&mut self, filter: &str, mailbox: &Mailbox) -> bool {
        let (group, filter) = split_shared(filter);
        let was_there = self.root.remove(filter, group, mailbox);
        self.count -= usize::from(was_there);
        was_there
    }

    /// How many subscriptions there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether a message of that topic name would go to anybody.
    pub(super) fn is_wanted(&self, topic: &str) -> bool {
        let mut is_wanted = false;
        self.root.visit(topic, &mut |place| is_wanted |= !place.is_empty());
        is_wanted
    }

    /// Whether a message of that topic name would go to anybody who must not miss it, also when the process ends meanwhile.
    pub(super) fn is_owed(&self, topic: &str) -> bool {
        let mut is_owed = false;
        self.root.visit(topic, &mut |place| {
            let members = place.own.iter().chain(place.shared.iter().flat_map(|group| &group.members));
            is_owed |= members.into_iter().any(Subscription::is_owed);
        });
        is_owed
    }

    /// The subscriptions that a message of that topic name and number is for: each that is one's own, and one of each
    /// group.
    pub(super) fn matching(&self, topic: &str, number: u64) -> Matching<'_> {
        let mut matching = Matching { own: Vec::new(), shared: Vec::new() };
        self.root.visit(topic, &mut |place| {
            matching.own.extend(place.own.iter().filter(|it| it.since <= number));
            matching.shared.extend(place.shared.iter().filter_map(|group| group.choose(number)));
        });
        matching
    }
}

/// What a topic name matches.
pub(super) struct Matching<'a> {
    pub own: Vec<&'a Subscription>,
    pub shared: Vec<&'a Subscription>,
}

/// The group and the filter of `$share/{group}/{filter}`.
pub(crate) fn split_shared(filter: &str) -> (Option<&str>, &str) {
    let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    shared.map_or((None, filter), |(group, filter)| (Some(group), filter))
}

impl Node {
    fn place(&mut self, filter: &str) -> &mut Place {
        let (level, rest) = front(filter);
        let child = match (level, rest) {
            ("#", None) => return &mut self.below,
            ("+", _) => &mut **self.any.get_or_insert_default(),
            (level, _) => {
                if !self.levels.contains_key(level) {
                    self.levels.insert(level.into(), Node::default());
                }
                self.levels.get_mut(level).expect("it was inserted")
            }
        };
        match rest {
            Some(rest) => child.place(rest),
            None => &mut child.here,
        }
    }

    /// Branches that hold nothing go.
    fn remove(&mut self, filter: &str, group: Option<&str>, mailbox: &Mailbox) -> bool {
        let (level, rest) = front(filter);
        let child = match (level, rest) {
            ("#", None) => return self.below.remove(group, mailbox),
            ("+", _) => self.any.as_deref_mut(),
            (level, _) => self.levels.get_mut(level),
        };
        let Some(child) = child else { return false };
        let was_there = match rest {
            Some(rest) => child.remove(rest, group, mailbox),
            None => child.here.remove(group, mailbox),
        };
        if child.is_empty() {
            match level {
                "+" => self.any = None,
                level => drop(self.levels.remove(level)),
            }
        }
        was_there
    }

    fn is_empty(&self) -> bool {
        self.levels.is_empty() && self.any.is_none() && self.here.is_empty() && self.below.is_empty()
    }

    /// 4.7.2: a name that begins with `$` matches no wildcard in front.
    fn visit<'a>(&'a self, topic: &str, each: &mut impl FnMut(&'a Place)) {
        if topic.starts_with('$') {
            let (level, rest) = front(topic);
            if let Some(child) = self.levels.get(level) {
                child.go_on(rest, each);
            }
        } else {
            self.go_on(Some(topic), each);
        }
    }

    /// `#` stands for no level too (4.7.1.2).
    fn go_on<'a>(&'a self, topic: Option<&str>, each: &mut impl FnMut(&'a Place)) {
        each(&self.below);
        let Some(topic) = topic else { return each(&self.here) };
        let (level, rest) = front(topic);
        if let Some(child) = self.levels.get(level) {
            child.go_on(rest, each);
        }
        if let Some(child) = &self.any {
            child.go_on(rest, each);
        }
    }
}

/// The first level, and what stands behind it.
fn front(topic: &str) -> (&str, Option<&str>) {
    topic.split_once('/').map_or((topic, None), |(level, rest)| (level, Some(rest)))
}

impl Place {
    fn insert(&mut self, group: Option<&str>, subscription: Subscription) -> bool {
        let members = match group {
            None => &mut self.own,
            Some(name) => {
                let known = self.shared.iter().position(|group| &*group.name == name);
                let place = known.unwrap_or_else(|| {
                    let next = AtomicUsize::new(0);
                    self.shared.push(Group { name: name.into(), members: Vec::new(), next });
                    self.shared.len() - 1
                });
                &mut self.shared[place].members
            }
        };
        match members.iter_mut().find(|it| it.mailbox.id == subscription.mailbox.id) {
            Some(older) => {
                // Nothing is missed between the two.
                *older = Subscription { since: older.since, ..subscription };
                false
            }
            None => {
                members.push(subscription);
                true
            }
        }
    }

    fn remove(&mut self, group: Option<&str>, mailbox: &Mailbox) -> bool {
        let remove = |members: &mut Vec<Subscription>| {
            let place = members.iter().position(|it| it.mailbox.id == mailbox.id);
            place.map(|place| members.swap_remove(place)).is_some()
        };
        let Some(name) = group else { return remove(&mut self.own) };
        let Some(group) = self.shared.iter_mut().find(|group| &*group.name == name) else { return false };
        let was_there = remove(&mut group.members);
        self.shared.retain(|group| !group.members.is_empty());
        was_there
    }

    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_empty()
    }
}

impl Group {
    /// In turn, and whoever is connected before those who are not.
    fn choose(&self, number: u64) -> Option<&Subscription> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..self.members.len()).map(|step| &self.members[(turn + step) % self.members.len()]);
        let in_turn = in_turn.filter(|it| it.since <= number);
        in_turn.clone().find(|it| it.mailbox.is_connected()).or_else(|| in_turn.clone().next())
    }
}

#[cfg(test)]
mod tests {
    use super::super::mailbox::Budget;
    use super::*;
    use crate::packet::RetainHandling;

    fn mailbox(id: u64) -> Arc<Mailbox> {
        Arc::new(Mailbox::new(id, None, Budget { messages: 1, bytes: 1 }))
    }

    fn subscription(mailbox: &Arc<Mailbox>) -> Subscription {
        let options = Options {
            qos: QoS::AtMostOnce,
            no_local: false,
            keeps_retain: false,
            retain_handling: RetainHandling::Always,
        };
        Subscription { mailbox: mailbox.clone(), options, identifier: None, since: 0 }
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        let check = |filter: &str, topic: &str, expected: bool| {
            let (mut table, mailbox) = (Table::default(), mailbox(1));
            assert!(table.insert(filter, subscription(&mailbox)));
            assert_eq!(table.is_wanted(topic), expected, "{filter} {topic}");
            assert_eq!(table.matching(topic, 0).own.len(), usize::from(expected), "{filter} {topic}");
            assert!(table.remove(filter, &mailbox) && !table.remove(filter, &mailbox));
            assert!(table.root.is_empty() && table.len() == 0, "{filter} leaves nothing behind");
        };
        // The examples of 4.7.1.2, 4.7.1.3 and 4.7.2.
        for topic in ["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/w"]
        {
            check("sport/tennis/player1/#", topic, true);
        }
        check("sport/#", "sport", true);
        check("#", "a/b", true);
        check("sport/tennis/+", "sport/tennis/player1", true);
        check("sport/tennis/+", "sport/tennis/player1/ranking", false);
        check("sport/+", "sport", false);
        check("sport/+", "sport/", true);
        check("+/+", "/finance", true);
        check("/+", "/finance", true);
        check("+", "/finance", false);
        check("#", "$SYS/a", false);
        check("+/monitor/a", "$SYS/monitor/a", false);
        check("$SYS/#", "$SYS/a", true);
        check("$SYS/monitor/+", "$SYS/monitor/a", true);
        check("a", "A", false);
        check("a/b", "a/b/", false);
    }

    #[test]
    fn a_group_takes_turns() {
        let mut table = Table::default();
        let members = [mailbox(1), mailbox(2), mailbox(3)];
        for member in &members {
            table.insert("$share/g/a/+", subscription(member));
        }
        let ids = || {
            let chosen = table.matching("a/b", 0).shared.iter().map(|it| it.mailbox.id).collect::<Vec<_>>();
            assert_eq!(chosen.len(), 1);
            chosen[0]
        };
        assert_eq!([ids(), ids(), ids(), ids()], [1, 2, 3, 1]);
        members[1].set_connected(false);
        assert_eq!([ids(), ids(), ids()], [3, 3, 1]);
        assert!(!table.is_wanted("$share/g/a/b"));
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn the_same_filter_again_replaces() {
        let (mut table, mailbox) = (Table::default(), mailbox(1));
        assert!(table.insert("a", subscription(&mailbox)));
        assert!(!table.insert("a", Subscription { identifier: Some(7), ..subscription(&mailbox) }));
        assert!(table.insert("$share/g/a", subscription(&mailbox)));
        assert_eq!(table.matching("a", 0).own[0].identifier, Some(7));
        assert_eq!(table.len(), 2);
    }
}
