//! A write-ahead log with ordered key spaces, transactions and crash recovery.
//!
//! A [`Store`] holds ordered key spaces of bytes, each of which a [`Table`] gives types. [`Store::commit`] runs a closure on
//! the newest state; what it changed is one transaction, in memory at once, on its way to the log, and acknowledged when
//! the log has it. [`Store::view`] reads the last *published* state: what a crash can't take back. A state is immutable, so
//! a view costs one pointer and stays as it is.
//!
//! ```
//! use cumulog_engine::disk::{Crash, Faults, Simulated};
//! use cumulog_engine::{Options, Space, Store, Table};
//! use std::{path::Path, sync::Arc};
//!
//! const STOCK: Table<(String,), u32> = Table::new(Space::new(0x0101, "shop/stock"));
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let disk = Simulated::default(); // or `Real::default()`
//! let (store, _) = Store::open(Arc::new(disk.clone()), Path::new("data"), Options::default())?;
//! let apples = ("apples".to_string(),);
//! store.commit(|txn| Ok::<_, ()>(STOCK.put(txn, &apples, &3))).wait()?.unwrap();
//!
//! // One is sold, unless there is none left: then nothing changes.
//! let left = store.commit(|txn| {
//!     let count = STOCK.get(txn, &apples).expect("it is a number").unwrap_or(0);
//!     let left = count.checked_sub(1).ok_or("sold out")?;
//!     STOCK.put(txn, &apples, &left);
//!     Ok::<_, &str>(left)
//! });
//! assert_eq!(left.wait()?, Ok(2)); // or `.await`: acknowledged
//!
//! let disk = disk.restart(Crash::Process(0), Faults::default()); // kill -9
//! let (store, recovery) = Store::open(Arc::new(disk), Path::new("data"), Options::default())?;
//! assert!(!recovery.clean);
//! assert_eq!(STOCK.get(&store.view(), &apples)?, Some(2));
//! # Ok(())
//! # }
//! ```
//!
//! How it works, and why a crash loses nothing that was acknowledged, stands in the headers of the modules `sequencer` and
//! `log`. Only [`disk`] touches the file system, and nothing asks for an async
//! runtime.

mod blob;
mod bulk;
mod compaction;
pub mod disk;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod key;
mod log;
mod manifest;
mod owner;
mod pending;
mod root;
mod sequencer;
mod snapshot;
mod spaces;
mod store;
mod sync;
mod table;
mod tree;
mod txn;
mod verify;
mod wire;

pub use blob::{Blob, BlobId, BlobInfo, BlobReader, BlobWriter, PIECE_BYTES};
pub use compaction::request::{Compacted, Compacting, Pace};
pub use compaction::runner::Compactions;
pub use error::{Error, RowError};
pub use key::Key;
pub use log::driver::{Driver, Next};
pub use pending::{Admission, Pending};
pub use root::{Range, Read, Space, View};
pub use store::{Durability, Garbage, Lsn, Options, Recovery, Status, Store, Torn};
pub use table::{Row, Scan, Table};
pub use txn::{Label, Txn};
pub use verify::{Finding, FindingKind, Report, Verified, verify};
