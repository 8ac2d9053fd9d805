"""The OWASP API Security Top 10 (2023), one file for each that applies, tried from outside."""
