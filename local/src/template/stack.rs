//! The resolved stack: what the template says once parameters, conditions and intrinsics have their values.
//!
//! Every physical name, ARN and URL is known before anything is created, so the parts of `local` (the AWS stand-in, the
//! function host, the gateway) can be built from it in any order.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

/// The whole stack.
pub(crate) struct Stack {
    /// Its name.
    pub(crate) name: String,
    /// The operator's account, 12 digits.
    pub(crate) account_id: String,
    /// The Region the stack is deployed to.
    pub(crate) region: String,
    /// The template's Outputs, by name.
    pub(crate) outputs: BTreeMap<String, String>,
    resources: Vec<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Stack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stack").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Stack {
    /// A stack without resources.
    pub(crate) fn new(name: &str, account_id: &str, region: &str) -> Self {
        Self {
            name: name.to_owned(),
            account_id: account_id.to_owned(),
            region: region.to_owned(),
            outputs: BTreeMap::new(),
            resources: Vec::new(),
        }
    }

    /// Adds a resource.
    pub(crate) fn add<T: Any + Send + Sync>(&mut self, resource: T) {
        self.resources.push(Box::new(resource));
    }

    /// The resources of one kind, such as `QueueResource`, in template order.
    pub(crate) fn all<T: Any>(&self) -> impl Iterator<Item = &T> {
        self.resources.iter().filter_map(|resource| resource.downcast_ref())
    }

    /// The resources of one kind, to give them something that another resource says of them.
    pub(crate) fn all_mut<T: Any>(&mut self) -> impl Iterator<Item = &mut T> {
        self.resources.iter_mut().filter_map(|resource| resource.downcast_mut())
    }
}
