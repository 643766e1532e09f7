//! Tests of the checker on written histories and against brute force, and of the recorder on threads.

mod agreement;
mod recording;
mod specs;
mod verdicts;
