//! Where in a document: a chain of steps that becomes a JSON pointer only when somebody asks.

use std::fmt;

/// A place in the document, as a chain up to its root.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    parent: Option<&'p Self>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Place<'p> {
    pub(super) const ROOT: Self = Place { parent: None, step: Step::Root };

    pub(super) const fn key(&'p self, name: &'p str) -> Self {
        Place { parent: Some(self), step: Step::Key(name) }
    }

    pub(super) const fn index(&'p self, index: usize) -> Self {
        Place { parent: Some(self), step: Step::Index(index) }
    }
}

/// A JSON pointer (RFC 6901).
impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(out)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(name) => write!(out, "/{}", name.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => write!(out, "/{index}"),
        }
    }
}
