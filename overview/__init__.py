"""What the admin's dashboard shows: figures noted each minute, and plots of them."""
