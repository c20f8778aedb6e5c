//! The stand-in over the wire, by ordinary AWS clients.

mod configuration_sets;
mod content;
mod custody;
mod events;
mod faults;
mod fixtures;
mod identity;
mod local_routes;
mod mappings;
mod objects;
mod own_faults;
mod permissions;
mod presigned;
mod probes;
mod project_template;
mod queues;
mod records;
mod sending;
