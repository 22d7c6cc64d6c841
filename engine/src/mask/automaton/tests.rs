//! Tests of the automaton.
