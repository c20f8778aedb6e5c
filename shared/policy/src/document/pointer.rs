//! JSON pointers (RFC 6901) that cost nothing until they are printed.

use std::fmt;

/// A position in a document, as a chain of segments up to the root. Only [`Display`](fmt::Display) makes text of it:
/// most positions have no problem to report.
#[derive(Clone, Copy)]
pub(super) struct JsonPointer<'p> {
    parent: Option<&'p Self>,
    segment: PathSegment<'p>,
}

#[derive(Clone, Copy)]
enum PathSegment<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> JsonPointer<'p> {
    pub(super) const ROOT: Self = JsonPointer { parent: None, segment: PathSegment::Root };

    pub(super) const fn key(&'p self, name: &'p str) -> Self {
        JsonPointer { parent: Some(self), segment: PathSegment::Key(name) }
    }

    pub(super) const fn index(&'p self, index: usize) -> Self {
        JsonPointer { parent: Some(self), segment: PathSegment::Index(index) }
    }
}

impl fmt::Display for JsonPointer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(out)?;
        }
        match self.segment {
            PathSegment::Root => Ok(()),
            PathSegment::Key(name) => write!(out, "/{}", name.replace('~', "~0").replace('/', "~1")),
            PathSegment::Index(index) => write!(out, "/{index}"),
        }
    }
}
