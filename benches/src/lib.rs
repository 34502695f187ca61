//! Benchmarks of the engine, with a raw control in the same run.
