//! Properties that `local` leaves out on purpose.

/// A property that is left out, and why that changes nothing on one machine.
pub(crate) struct LeftOut {
    /// The property's dotted path.
    pub(crate) property: &'static str,
    /// Why it may be left out.
    pub(crate) reason: &'static str,
}

/// A property to leave out.
pub(crate) const fn left_out(property: &'static str, reason: &'static str) -> LeftOut {
    LeftOut { property, reason }
}
