//! Blobs on a simulated disk: crashes at every operation, damage, a full disk, readers of what is deleted. Through the
//! public API only.

mod crashes;
mod faults;
mod lifetime;
mod moving;
mod ordeal;
mod session;
#[path = "../stepped/mod.rs"]
mod stepped;
