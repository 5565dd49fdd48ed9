"""How the battery is used over the next days: bills, forecasts, plans, and what they are worth."""
