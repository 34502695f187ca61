//! A write-ahead log with ordered key spaces, transactions and crash recovery.
//!
//! A [`Store`] holds immutable roots. [`Store::commit`] runs a closure on the newest root and queues its effects for the
//! log; [`Store::view`] reads the last *published* root: the newest one that a crash can't take back.
//!
//! ```
//! use cumulog_engine::{Options, Space, Store, Table};
//!
//! const QUEUES: Table<(String,), u32> = Table::new(Space::new(0x0301, "sqs/queues"));
//!
//! let store = Store::ephemeral(Options::default());
//! let id = store
//!     .commit(|txn| {
//!         QUEUES.put(txn, &("orders".to_string(),), &7);
//!         Ok::<_, ()>(7)
//!     })
//!     .wait()
//!     .expect("a store in memory can't fail");
//! assert_eq!(id, Ok(7));
//! assert_eq!(QUEUES.get(&store.view(), &("orders".to_string(),)).unwrap(), Some(7));
//! ```

mod bulk;
pub mod disk;
mod error;
mod key;
mod log;
mod owner;
mod pending;
mod root;
mod sequencer;
mod store;
mod table;
mod txn;
mod wire;

pub use error::{Error, RowError};
pub use key::Key;
pub use log::driver::{Driver, Next};
pub use pending::{Admission, Pending};
pub use root::{Range, Read, Space, View};
pub use store::{Durability, Lsn, Options, Recovery, Status, Store, Torn};
pub use table::{Row, Scan, Table};
pub use txn::{Label, Txn};
