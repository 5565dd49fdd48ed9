"""What each way to run a battery would have saved on a recorded series: `ess backtest`."""
