//! SQS: the messages of a batch, the partial batch response, and the queues that functions write to.
//!
//! | file | what it holds |
//! |---|---|
//! | `message` | a received message |
//! | `batch` | each message in a task of its own, and the partial batch response |
//! | `handled_batch` | a batch of steps: handled, delivered again, or dead-lettered |
//! | `deadline` | how long an invocation may still work, with the one reserve for its response |
//! | `sender` | sending, requeueing and dead-lettering |
//! | `reader` | looking at what was dead-lettered |
//! | `depth` | how many messages a queue holds |
//! | `mapping` | switching Lambda's polling of a queue on and off |

mod batch;
mod deadline;
mod depth;
mod handled_batch;
mod mapping;
mod message;
mod reader;
mod sender;

pub use batch::{Batch, Interrupted, process_batch};
pub use deadline::{Deadline, RESPONSE_RESERVE};
pub use depth::QueueDepth;
pub use handled_batch::{MessageOutcome, dead_letter, handle_batch};
pub use mapping::{EventSourceMapping, MappingError, MappingState};
pub use message::{MAX_BODY_BYTES, Message};
pub use reader::{MessageReceipt, QueueReadError, SetAsideMessage};
pub use sender::{DeadLetter, Outgoing, Queue, QueueError};
