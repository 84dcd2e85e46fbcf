"""Normal modes of molecules and adsorbates, and the thermochemistry that follows from them."""
