//! The engine on a simulated disk: crashes, failing disks, damage. Through the public API only.

mod concurrent;
mod damage;
mod faults;
mod life;
mod model;
mod power;
mod random;
#[path = "../stepped/mod.rs"]
mod stepped;
