"""What pmstream is made of, what is known of it to be weak, and under which licences."""
