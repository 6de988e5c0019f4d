"""Our methods by the interfaces of other libraries, none of which is imported here."""
