"""How dates look on the admin's pages, by language (`FORMAT_MODULE_PATH`)."""
