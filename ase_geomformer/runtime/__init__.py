"""What evaluates a potential: settings, the prepared potential, results and predicted memory."""
