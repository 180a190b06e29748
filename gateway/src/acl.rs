//! Which topic filters an identity may subscribe to.

use crate::fanout::split_shared;

/// What an identity is, and so what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It publishes its own `up/{device}/…`, and is sent what goes there and to `down/{device}/…`.
    Device,
    /// It publishes nothing, and is sent what these filters cover.
    Subscriber(Vec<String>),
}

impl Role {
    /// Whether somebody of this role and id may subscribe to a valid filter. Sharing it changes nothing.
    pub(crate) fn may_subscribe(&self, id: &str, filter: &str) -> bool {
        let (_, filter) = split_shared(filter);
        match self {
            Role::Device => ["up/", "down/"].iter().any(|front| {
                let own = filter.strip_prefix(front).and_then(|rest| rest.strip_prefix(id));
                own.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }),
            Role::Subscriber(granted) => granted.iter().any(|granted| covers(granted, filter)),
        }
    }
}

/// Whether all that `wanted` matches is matched by `granted`.
fn covers(granted: &str, wanted: &str) -> bool {
    if wanted.starts_with('$') && granted.starts_with(['+', '#']) {
        return false;
    }
    let mut wanted = wanted.split('/');
    for level in granted.split('/') {
        match (level, wanted.next()) {
            ("#", _) => return true,
            ("+", Some(wanted)) if wanted != "#" => {}
            (level, Some(wanted)) if level == wanted => {}
            _ => return false,
        }
    }
    wanted.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_covers_what_it_matches_all_of() {
        let check =
            |granted, wanted, expected| assert_eq!(covers(granted, wanted), expected, "{granted} {wanted}");
        check("#", "a/#", true);
        check("#", "#", true);
        check("#", "$SYS/a", false);
        check("a/#", "a", true);
        check("a/#", "a/+/#", true);
        check("a/#", "b/#", false);
        check("a/#", "+/b", false);
        check("a/#", "#", false);
        check("a/+", "a/b", true);
        check("a/+", "a/+", true);
        check("a/+", "a/#", false);
        check("a/+/c", "a/b/c", true);
        check("a/+/c", "a/b", false);
        check("a/b", "a/b/c", false);
        check("$SYS/#", "$SYS/a", true);
    }

    #[test]
    fn a_device_has_its_own() {
        let check =
            |filter, expected| assert_eq!(Role::Device.may_subscribe("d-1", filter), expected, "{filter}");
        check("down/d-1/#", true);
        check("down/d-1/command", true);
        check("up/d-1/+", true);
        check("$share/g/down/d-1/#", true);
        check("down/d-1", true);
        for filter in
            ["#", "down/#", "down/+/command", "down/d-10/command", "down/d-2/#", "+/d-1/#", "$share/g/#"]
        {
            check(filter, false);
        }
    }
}
