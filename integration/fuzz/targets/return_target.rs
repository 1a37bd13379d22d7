#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis::properties::the_way_back_leads_home(bytes));
