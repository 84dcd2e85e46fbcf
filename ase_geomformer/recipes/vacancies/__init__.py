"""Formation energies of vacancies."""
